#include "data/scorers/vqa_score.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/io/file.h"
#include "data/scorers/record_file.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Every word of the list stands also for its forms that lack one of its apostrophes.
const std::map<std::string, std::string>& contractions() {
  static const auto kMap = [] {
    const char* const words =
        "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't "
        "haven't "
        "he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've "
        "mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't "
        "shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's "
        "something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've "
        "they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's "
        "where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've "
        "wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've";
    std::map<std::string, std::string> map{{"somebody'd", "somebodyd"}};
    for (const std::string& word : words_of(words))
      for (size_t at = word.find('\''); at != word.npos; at = word.find('\'', at + 1))
        map[word.substr(0, at) + word.substr(at + 1)] = word;
    return map;
  }();
  return kMap;
}

std::string without_punctuation(const std::string& text) {
  bool joins_digits = false;  // "1,000"
  for (size_t i = 1; i + 1 < text.size(); ++i)
    joins_digits |= text[i] == ',' && is_digit(text[i - 1]) && is_digit(text[i + 1]);
  std::string out = text;
  for (const char mark : std::string_view(";/[]\"{}()=+\\_-><@`,?!")) {
    const bool beside_space = text.find({mark, ' '}) != text.npos || text.find({' ', mark}) != text.npos;
    replace_all(out, {&mark, 1}, joins_digits || beside_space ? "" : " ");
  }
  std::string kept;
  int dropped = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const bool drop = out[i] == '.' && dropped < 32 && !(i + 1 < out.size() && is_digit(out[i + 1]));
    dropped += drop;
    if (!drop) kept += out[i];
  }
  return kept;
}

std::string with_plain_words(const std::string& text) {
  static const std::map<std::string, std::string> kNumbers{
      {"none", "0"}, {"zero", "0"}, {"one", "1"},   {"two", "2"},   {"three", "3"}, {"four", "4"},
      {"five", "5"}, {"six", "6"},  {"seven", "7"}, {"eight", "8"}, {"nine", "9"},  {"ten", "10"}};
  std::string out;
  for (std::string word : words_of(lower_case(text))) {
    if (word == "a" || word == "an" || word == "the") continue;
    if (const auto found = kNumbers.find(word); found != kNumbers.end()) word = found->second;
    if (const auto found = contractions().find(word); found != contractions().end()) word = found->second;
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

// Line breaks and tabs are spaces; none at the ends.
std::string on_one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  std::ranges::replace(text, '\t', ' ');
  return strip(text);
}

}  // namespace

std::string comparable_answer(std::string_view answer, VqaRule rule) {
  std::string text(answer);
  if (rule == VqaRule::evalai) {
    text = lower_case(text);
    replace_all(text, ",", "");
    replace_all(text, "?", "");
    replace_all(text, "'s", " 's");
    text = strip(text);
  }
  return with_plain_words(without_punctuation(on_one_line(text)));
}

double vqa_accuracy(std::string_view answer, std::span<const std::string> people, VqaRule rule) {
  std::vector<std::string> given;
  for (const std::string& text : people) given.push_back(on_one_line(text));
  std::string own = on_one_line(std::string(answer));
  const bool differ = std::ranges::any_of(given, [&](const auto& text) { return text != given[0]; });
  if (rule == VqaRule::evalai || differ) {
    for (size_t i = 0; i < given.size(); ++i) given[i] = comparable_answer(people[i], rule);
    own = comparable_answer(answer, rule);
  }
  const auto matches = std::ranges::count(given, own);
  double sum = 0;
  for (const std::string& left_out : given) sum += std::min(1.0, double(matches - (left_out == own)) / 3);
  return given.empty() ? 0 : sum / double(given.size());
}

std::vector<VqaTruth> read_vqa(const std::filesystem::path& path, VqaRule rule) {
  std::vector<VqaTruth> questions;
  std::set<std::string> seen;
  each_record(path, "annotations", [&](const Record& record) {
    VqaTruth question{record.id("question_id"), record.text("answer_type"), record.text("question_type"), {}};
    require<IoError>(seen.insert(question.id).second, record.what, ": question_id ",
                     printable(question.id, 60), " stands twice");
    each_record(record.list("answers"), record.what + ".answers",
                [&](const Record& answer) { question.people.push_back(answer.text("answer")); });
    const size_t count = question.people.size();
    require<IoError>(rule == VqaRule::evalai ? count == 10 : count > 1, record.what,
                     ": key 'answers': wanted ", rule == VqaRule::evalai ? "10 answers" : "2 answers or more",
                     ", found ", count);
    questions.push_back(std::move(question));
  });
  require<IoError>(!questions.empty(), path.string(), ": wanted at least one question, found none");
  return questions;
}

SampleScores score_vqa(std::span<const std::string> answers, std::span<const VqaTruth> truth, VqaRule rule) {
  SampleScores result;
  std::map<std::string, std::pair<double, int64_t>> parts;  // sum, count
  for (size_t i = 0; i < truth.size(); ++i) {
    const double accuracy = vqa_accuracy(answers[i], truth[i].people, rule);
    result.samples.push_back(accuracy);
    for (const std::string& part :
         {std::string(" all"), "answers: " + truth[i].answer_type, "questions: " + truth[i].question_type}) {
      parts[part].first += accuracy;
      ++parts[part].second;
    }
  }
  for (const auto& [name, part] : parts)
    result.figures.emplace_back(name == " all" ? "accuracy" : name, part.first / double(part.second));
  return result;
}

SampleScores score_vqa(const std::filesystem::path& predictions, const std::filesystem::path& references,
                       VqaRule rule) {
  const std::vector<VqaTruth> truth = read_vqa(references, rule);
  std::unordered_map<std::string, std::string> answers;
  each_record(predictions, "results", [&](const Record& record) {
    const std::string id = record.id("question_id");
    require<IoError>(answers.emplace(id, record.text("answer")).second, record.what, ": question_id ",
                     printable(id, 60), " has an answer already");
  });
  std::vector<std::string> in_order;
  for (const VqaTruth& question : truth) {
    const auto found = answers.find(question.id);
    require<IoError>(found != answers.end(), predictions.string(), ": has ", answers.size(),
                     " answers, none for question_id ", printable(question.id, 60), " of ",
                     references.string());
    in_order.push_back(found->second);
  }
  require<IoError>(answers.size() == truth.size(), predictions.string(), ": wanted answers to the ",
                   truth.size(), " questions of ", references.string(), " only, found ", answers.size());
  return score_vqa(in_order, truth, rule);
}

}  // namespace dehvf
