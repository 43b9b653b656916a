// VQAv2: questions with short answers. What most people answered is learned; ten answers score.
#include <algorithm>
#include <unordered_map>

#include "core/io/file.h"
#include "core/io/json.h"
#include "data/scorers/record_file.h"
#include "data/scorers/unicode_text.h"
#include "data/scorers/vqa_score.h"
#include "train/data_source.h"

namespace dehvf {
namespace {

constexpr int64_t kMostTokens = 10;

// One question with what people answered to it.
struct Asked {
  VqaTruth truth;
  std::string prompt;
  PicturePaths pictures;
};

// The most frequent one, of equals the first.
const std::string& common_answer(const std::vector<std::string>& people) {
  return *std::ranges::max_element(
      people, {}, [&](const std::string& answer) { return std::ranges::count(people, answer); });
}

class VqaExam : public Exam {
 public:
  VqaExam(const std::vector<Asked>& asked, const Tokenizer& tokenizer, const PromptOptions& options) {
    may_rank = false;
    most_tokens = kMostTokens;
    for (const Asked& one : asked) {
      questions.push_back(make_question(one.prompt, most_tokens, tokenizer, options.max_tokens));
      questions.back().id = int64_t(questions.size()) - 1;
      pictures.push_back(one.pictures);
      truth_.push_back(one.truth);
    }
  }

  Score score(const std::vector<Reply>& replies) const override {
    std::vector<std::string> answers;
    for (const Reply& reply : replies) answers.push_back(strip(reply.text));
    SampleScores found = score_vqa(answers, truth_, VqaRule::official);
    Score result{.samples = std::move(found.samples)};
    for (const auto& [name, value] : found.figures) result.figures.push_back({name, value});
    return result;
  }

  void write(const std::filesystem::path& path, const std::vector<Reply>& replies) const override {
    Json list = Json::array();
    for (size_t i = 0; i < replies.size(); ++i)
      list.push_back({{"question_id", json_id(truth_[i].id)}, {"answer", strip(replies[i].text)}});
    write_json(path, list);
  }

 private:
  std::vector<VqaTruth> truth_;
};

class VqaSource : public DataSource {
 public:
  VqaSource(std::filesystem::path folder, const Tokenizer& tokenizer, const PromptOptions& options)
      : folder_(std::move(folder)), tokenizer_(tokenizer), options_(options) {}

  std::string prompt() const override { return "short answer"; }

  void each_example(const std::string& split, const OnExample& visit) const override {
    int64_t count = 0;
    for (const Asked& asked : read(split, 0)) {
      Example example =
          training_example(asked.prompt, common_answer(asked.truth.people), tokenizer_, options_.max_tokens,
                           concat("question_id ", printable(asked.truth.id, 60)));
      example.id = count++;
      if (!visit(std::move(example), asked.pictures)) return;
    }
  }

  std::unique_ptr<Exam> exam(const std::string& split, int64_t limit) const override {
    return std::make_unique<VqaExam>(read(split, limit), tokenizer_, options_);
  }

 private:
  std::vector<Asked> read(const std::string& split, int64_t limit) const {
    const auto asking = annotation_file(folder_, {concat("questions_", split, ".json"),
                                                  concat("v2_OpenEnded_mscoco_", split, "_questions.json")}),
               answers = annotation_file(folder_, {concat("annotations_", split, ".json"),
                                                   concat("v2_mscoco_", split, "_annotations.json")});
    struct Text {
      std::string question, image;
    };
    std::unordered_map<std::string, Text> texts;
    each_record(asking, "questions", [&](const Record& record) {
      texts[record.id("question_id")] = {record.text("question"), record.id("image_id")};
    });
    std::vector<Asked> result;
    for (VqaTruth& truth : read_vqa(answers, VqaRule::official)) {
      if (limit > 0 && int64_t(result.size()) == limit) break;
      const auto found = texts.find(truth.id);
      require<IoError>(found != texts.end(), answers.string(), ": question_id ", printable(truth.id, 60),
                       " is not in ", asking.string());
      const auto& [question, image] = found->second;
      const std::string digits = image.size() < 12 ? std::string(12 - image.size(), '0') + image : image;
      result.push_back(
          {std::move(truth),
           concat("Question: ", question, " Short answer:"),
           {picture_file(folder_, split, {image + ".png", concat("COCO_", split, "_", digits, ".jpg")})}});
    }
    return result;
  }

  std::filesystem::path folder_;
  const Tokenizer& tokenizer_;
  PromptOptions options_;
};

}  // namespace

std::unique_ptr<DataSource> vqa_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                       const PromptOptions& options) {
  return std::make_unique<VqaSource>(path, tokenizer, options);
}

}  // namespace dehvf
