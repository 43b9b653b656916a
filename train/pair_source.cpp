// NLVR2: whether a statement about two pictures is true, by the likelihood of the two words.
#include <cmath>
#include <set>

#include "core/io/file.h"
#include "data/scorers/nlvr2_score.h"
#include "train/data_source.h"

namespace dehvf {
namespace {

constexpr const char* kWords[] = {"False", "True"};

std::string prompt_of(const Nlvr2Sample& sample) {
  return concat(sample.sentence, " True or False? Answer:");
}

class PairExam : public Exam {
 public:
  PairExam(std::vector<Nlvr2Sample> samples, std::vector<PicturePaths> paths, const Tokenizer& tokenizer,
           const PromptOptions& options)
      : samples_(std::move(samples)) {
    may_write = false;
    pictures = std::move(paths);
    for (const Nlvr2Sample& sample : samples_) {
      Question question;
      size_t longest = 0;
      for (const char* word : kWords) {
        question.choices.push_back(answer_tokens(word, tokenizer));
        longest = std::max(longest, question.choices.back().size());
      }
      question.prompt =
          make_question(prompt_of(sample), int64_t(longest), tokenizer, options.max_tokens).prompt;
      question.answer = sample.label;
      question.id = int64_t(questions.size());
      questions.push_back(std::move(question));
    }
  }

  Score score(const std::vector<Reply>& replies) const override {
    std::vector<bool> judgements;
    for (const Reply& reply : replies) judgements.push_back(reply.choice == 1);
    SampleScores found = score_nlvr2(judgements, samples_);
    Score result{.samples = std::move(found.samples), .right_or_wrong = true};
    for (const auto& [name, value] : found.figures) result.figures.push_back({name, value});
    std::set<std::string> sentences;
    for (const Nlvr2Sample& sample : samples_) sentences.insert(sample.sentence_id());
    result.figures[0].of = int64_t(samples_.size());
    result.figures[1].of = int64_t(sentences.size());
    for (Figure& figure : result.figures) figure.right = std::llround(figure.value * double(figure.of));
    return result;
  }

  void write(const std::filesystem::path& path, const std::vector<Reply>& replies) const override {
    std::string lines;
    for (size_t i = 0; i < replies.size(); ++i)
      lines += concat(samples_[i].identifier, ",", kWords[size_t(replies[i].choice)], "\n");
    write_file(path, lines);
  }

 private:
  std::vector<Nlvr2Sample> samples_;
};

class PairSource : public DataSource {
 public:
  PairSource(std::filesystem::path folder, const Tokenizer& tokenizer, const PromptOptions& options)
      : folder_(std::move(folder)), tokenizer_(tokenizer), options_(options) {}

  std::string prompt() const override { return "true or false"; }

  void each_example(const std::string& split, const OnExample& visit) const override {
    int64_t count = 0;
    for (const Nlvr2Sample& sample : read(split)) {
      Example example = training_example(prompt_of(sample), kWords[size_t(sample.label)], tokenizer_,
                                         options_.max_tokens, printable(sample.identifier, 60));
      example.id = count++;
      if (!visit(std::move(example), pictures_of(split, sample))) return;
    }
  }

  std::unique_ptr<Exam> exam(const std::string& split, int64_t limit) const override {
    std::vector<Nlvr2Sample> samples = read(split);
    if (limit > 0 && int64_t(samples.size()) > limit) samples.resize(size_t(limit));
    std::vector<PicturePaths> pictures;
    for (const Nlvr2Sample& sample : samples) pictures.push_back(pictures_of(split, sample));
    return std::make_unique<PairExam>(std::move(samples), std::move(pictures), tokenizer_, options_);
  }

 private:
  std::vector<Nlvr2Sample> read(const std::string& split) const {
    return read_nlvr2(annotation_file(folder_, {split + ".json"}));
  }

  // The published training pictures are divided among numbered folders.
  PicturePaths pictures_of(const std::string& split, const Nlvr2Sample& sample) const {
    PicturePaths paths;
    for (const std::string& name : {sample.left(), sample.right()})
      paths.push_back(picture_file(
          folder_, split,
          sample.directory.empty() ? std::vector{name} : std::vector{sample.directory + "/" + name, name}));
    return paths;
  }

  std::filesystem::path folder_;
  const Tokenizer& tokenizer_;
  PromptOptions options_;
};

}  // namespace

std::unique_ptr<DataSource> pair_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                        const PromptOptions& options) {
  return std::make_unique<PairSource>(path, tokenizer, options);
}

}  // namespace dehvf
