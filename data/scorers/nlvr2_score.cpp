#include "data/scorers/nlvr2_score.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/io/file.h"
#include "data/scorers/record_file.h"
#include "data/scorers/unicode_text.h"

namespace dehvf {
namespace {

std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == mark)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

bool read_truth(const std::string& text, const std::string& what) {
  const std::string lower = lower_case(text);
  require<IoError>(lower == "true" || lower == "false", what, ": wanted True or False, found '",
                   printable(text, 60), "'");
  return lower == "true";
}

std::map<std::string, bool> read_judgements(const std::filesystem::path& path) {
  std::map<std::string, bool> result;
  size_t number = 0;
  for (const std::string& raw : split(read_file(path), '\n')) {
    ++number;
    const std::string line = strip(raw);
    if (line.empty()) continue;
    const std::string what = concat(path.string(), ": line ", number);
    const auto parts = split(line, ',');
    require<IoError>(parts.size() == 2, what, ": wanted identifier,True or identifier,False, found '",
                     printable(line, 60), "'");
    const bool fresh = result.emplace(strip(parts[0]), read_truth(strip(parts[1]), what)).second;
    require<IoError>(fresh, what, ": '", printable(parts[0], 60), "' was judged before");
  }
  return result;
}

}  // namespace

std::string Nlvr2Sample::sentence_id() const {
  const auto parts = split(identifier, '-');
  return concat(parts[0], "-", parts[1], "-", parts[3]);
}

std::string Nlvr2Sample::picture(int side) const {
  return concat(identifier.substr(0, identifier.rfind('-')), "-img", side, ".png");
}

std::vector<Nlvr2Sample> read_nlvr2(const std::filesystem::path& path) {
  std::vector<Nlvr2Sample> samples;
  std::set<std::string> seen;
  each_line_record(path, [&](const Record& record) {
    Nlvr2Sample sample{.identifier = record.text("identifier"), .sentence = record.text("sentence")};
    const auto parts = split(sample.identifier, '-');
    const bool plain = sample.identifier.find_first_of("/\\") == std::string::npos &&
                       std::ranges::none_of(parts, [](const auto& part) { return part.empty(); });
    require<IoError>(parts.size() == 4 && plain, record.what,
                     ": key 'identifier': wanted split-set-pair-sentence, found '",
                     printable(sample.identifier, 60), "'");
    require<IoError>(seen.insert(sample.identifier).second, record.what, ": identifier '",
                     printable(sample.identifier, 60), "' stands twice");
    sample.label = read_truth(record.text("label"), record.what + ": key 'label'");
    if (record.json.contains("directory")) sample.directory = record.id("directory");
    require<IoError>(sample.directory.find_first_of("/\\.") == std::string::npos, record.what,
                     ": key 'directory': wanted a folder's name, found '", printable(sample.directory, 60),
                     "'");
    samples.push_back(std::move(sample));
  });
  require<IoError>(!samples.empty(), path.string(), ": wanted at least one sample, found none");
  return samples;
}

SampleScores score_nlvr2(const std::vector<bool>& judgements, std::span<const Nlvr2Sample> samples) {
  SampleScores result{.figures = {}, .samples = {}, .right_or_wrong = true};
  std::map<std::string, bool> sentences;
  double right = 0, consistent = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const bool holds = judgements[i] == samples[i].label;
    result.samples.push_back(holds);
    right += holds;
    const auto entry = sentences.emplace(samples[i].sentence_id(), true).first;
    entry->second = entry->second && holds;
  }
  for (const auto& entry : sentences) consistent += entry.second;
  result.figures = {{"accuracy", right / double(samples.size())},
                    {"consistency", consistent / double(sentences.size())}};
  return result;
}

SampleScores score_nlvr2(const std::filesystem::path& predictions, const std::filesystem::path& references) {
  const auto samples = read_nlvr2(references);
  const auto judgements = read_judgements(predictions);
  std::vector<bool> in_order;
  for (const Nlvr2Sample& sample : samples) {
    const auto found = judgements.find(sample.identifier);
    require<IoError>(found != judgements.end(), predictions.string(), ": has ", judgements.size(),
                     " judgements, none for '", printable(sample.identifier, 60), "' of ",
                     references.string());
    in_order.push_back(found->second);
  }
  return score_nlvr2(in_order, samples);
}

}  // namespace dehvf
