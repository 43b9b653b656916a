// LLaVA's conversations, all of them whatever the split; pictures are named from the file's folder.
#include "core/io/file.h"
#include "train/data_source.h"

namespace dehvf {
namespace {

class Conversations : public DataSource {
 public:
  Conversations(std::filesystem::path path, const Tokenizer& tokenizer, const PromptOptions& options)
      : path_(std::move(path)), tokenizer_(tokenizer), max_tokens_(options.max_tokens) {}

  std::string prompt() const override { return "vicuna_v1"; }

  void each_example(const std::string& /*split*/, const OnExample& visit) const override {
    int64_t count = 0;
    each_conversation(path_, [&](const Conversation& conversation) {
      Example example = training_example(conversation, tokenizer_, max_tokens_);
      example.id = count++;
      PicturePaths pictures;
      for (const std::string& name : conversation.images) pictures.push_back(path_.parent_path() / name);
      return visit(std::move(example), pictures);
    });
    require<ConfigError>(count > 0, path_.string(), ": holds no conversations");
  }

  std::unique_ptr<Exam> exam(const std::string& /*split*/, int64_t /*limit*/) const override {
    fail<ConfigError>(path_.string(),
                      ": conversations are for training; wanted a data set's folder to evaluate on");
  }

 private:
  std::filesystem::path path_;
  const Tokenizer& tokenizer_;
  int64_t max_tokens_;
};

}  // namespace

std::unique_ptr<DataSource> conversation_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                                const PromptOptions& options) {
  return std::make_unique<Conversations>(path, tokenizer, options);
}

}  // namespace dehvf
