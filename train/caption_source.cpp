// COCO captions: a picture is described; every caption of a picture is an example.
#include <unordered_map>

#include "core/io/file.h"
#include "core/io/json.h"
#include "data/scorers/coco_captions.h"
#include "data/scorers/record_file.h"
#include "data/scorers/unicode_text.h"
#include "train/data_source.h"

namespace dehvf {
namespace {

constexpr const char* kPrompt = "a picture of";
constexpr int64_t kMostTokens = 30;

class CaptionExam : public Exam {
 public:
  CaptionExam(CaptionReferences references, const std::unordered_map<std::string, PicturePaths>& files,
              const Tokenizer& tokenizer, const PromptOptions& options)
      : references_(std::move(references)) {
    may_rank = false;
    most_tokens = kMostTokens;
    for (const std::string& id : references_.ids) {
      questions.push_back(make_question(kPrompt, most_tokens, tokenizer, options.max_tokens));
      questions.back().id = int64_t(questions.size()) - 1;
      pictures.push_back(files.at(id));
    }
  }

  Score score(const std::vector<Reply>& replies) const override {
    std::vector<std::string> candidates;
    for (const Reply& reply : replies) candidates.push_back(strip(reply.text));
    SampleScores found = score_coco_captions(std::move(candidates), references_, CaptionText::plain);
    Score result{.samples = std::move(found.samples)};
    for (const auto& [name, value] : found.figures) result.figures.push_back({name, value});
    return result;
  }

  void write(const std::filesystem::path& path, const std::vector<Reply>& replies) const override {
    Json list = Json::array();
    for (size_t i = 0; i < replies.size(); ++i)
      list.push_back({{"image_id", json_id(references_.ids[i])}, {"caption", strip(replies[i].text)}});
    write_json(path, list);
  }

 private:
  CaptionReferences references_;
};

class CaptionSource : public DataSource {
 public:
  CaptionSource(std::filesystem::path folder, const Tokenizer& tokenizer, const PromptOptions& options)
      : folder_(std::move(folder)), tokenizer_(tokenizer), options_(options) {}

  std::string prompt() const override { return "caption"; }

  void each_example(const std::string& split, const OnExample& visit) const override {
    const Split data = read(split);
    int64_t count = 0;
    for (const std::string& id : data.references.ids)
      for (const std::string& caption : data.references.captions.at(id)) {
        Example example = training_example(kPrompt, strip(caption), tokenizer_, options_.max_tokens,
                                           concat("image_id ", printable(id, 60)));
        example.id = count++;
        if (!visit(std::move(example), data.files.at(id))) return;
      }
  }

  std::unique_ptr<Exam> exam(const std::string& split, int64_t limit) const override {
    Split data = read(split);
    auto& ids = data.references.ids;
    if (limit > 0 && int64_t(ids.size()) > limit) ids.resize(size_t(limit));
    return std::make_unique<CaptionExam>(std::move(data.references), data.files, tokenizer_, options_);
  }

 private:
  struct Split {
    CaptionReferences references;
    std::unordered_map<std::string, PicturePaths> files;
  };

  Split read(const std::string& split) const {
    const auto path = annotation_file(folder_, {concat("captions_", split, ".json")});
    Split result{.references = read_caption_references(path)};
    each_record(path, "images", [&](const Record& record) {
      result.files[record.id("id")] = {picture_file(folder_, split, {record.text("file_name")})};
    });
    for (const std::string& id : result.references.ids)
      require<IoError>(result.files.contains(id), path.string(), ": image_id ", printable(id, 60),
                       " has captions and is not among 'images'");
    return result;
  }

  std::filesystem::path folder_;
  const Tokenizer& tokenizer_;
  PromptOptions options_;
};

}  // namespace

std::unique_ptr<DataSource> caption_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                           const PromptOptions& options) {
  return std::make_unique<CaptionSource>(path, tokenizer, options);
}

}  // namespace dehvf
