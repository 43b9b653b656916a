// ScienceQA: choices by their likelihood, or by the letter in what the model writes.
#include <algorithm>

#include "data/scorers/answer_extraction.h"
#include "data/scorers/scienceqa_score.h"
#include "train/data_source.h"

namespace dehvf {
namespace {

PicturePaths picture_of(const Problem& problem) {
  return problem.image.empty() ? PicturePaths{} : PicturePaths{problem.image};
}

// Tokens that an answer may take; those of the published evaluations where there are such.
int64_t answer_tokens(PromptFormat format, std::span<const Question> questions) {
  size_t longest = 1;
  for (const Question& question : questions)
    for (const auto& choice : question.choices) longest = std::max(longest, choice.size());
  switch (format) {
    case PromptFormat::qcm_a:
      return 1;
    case PromptFormat::qcm_ale:
      return 64;
    case PromptFormat::qcm_lea:
      return 1024;
    default:
      return int64_t(longest) + 1;
  }
}

class ScienceQaExam : public Exam {
 public:
  ScienceQaExam(std::vector<Problem> problems, const Tokenizer& tokenizer, const PromptOptions& options)
      : problems_(std::move(problems)), format_(options.format) {
    for (const Problem& problem : problems_) {
      questions.push_back(make_question(problem, tokenizer, options));
      pictures.push_back(picture_of(problem));
    }
    most_tokens = answer_tokens(format_, questions);
  }

  Score score(const std::vector<Reply>& replies) const override {
    const Predictions chosen = predictions(replies);
    const ScienceQaScore score = score_problems(problems_, chosen);
    Score result{.right_or_wrong = true, .invalid = score.invalid};
    for (const ScoreRow& row : score.columns)
      result.figures.push_back(
          {row.name, row.of == 0 ? 0 : double(row.right) / double(row.of), row.right, row.of});
    for (const Problem& problem : problems_)
      result.samples.push_back(chosen.at(problem.id) == problem.answer);
    return result;
  }

  void write(const std::filesystem::path& path, const std::vector<Reply>& replies) const override {
    write_predictions(path, predictions(replies));
  }

 private:
  Predictions predictions(const std::vector<Reply>& replies) const {
    Predictions chosen;
    for (size_t i = 0; i < problems_.size(); ++i)
      chosen[problems_[i].id] =
          replies[i].choice >= 0
              ? replies[i].choice
              : extract_answer(replies[i].text, problems_[i].choices, format_).value_or(-1);
    return chosen;
  }

  std::vector<Problem> problems_;
  PromptFormat format_;
};

class ScienceQaSource : public DataSource {
 public:
  ScienceQaSource(const std::filesystem::path& folder, const Tokenizer& tokenizer,
                  const PromptOptions& options)
      : data_(folder), tokenizer_(tokenizer), options_(options) {}

  std::string prompt() const override {
    return concat(prompt_format_name(options_.format), options_.captions ? " with captions" : "");
  }

  void each_example(const std::string& split, const OnExample& visit) const override {
    for (const std::string& id : data_.split(split)) {
      const Problem& problem = data_.problem(id);
      if (!visit(training_example(problem, tokenizer_, options_), picture_of(problem))) return;
    }
  }

  std::unique_ptr<Exam> exam(const std::string& split, int64_t limit) const override {
    std::vector<Problem> problems;
    for (const std::string& id : data_.split(split)) {
      if (limit > 0 && int64_t(problems.size()) == limit) break;
      problems.push_back(data_.problem(id));
    }
    return std::make_unique<ScienceQaExam>(std::move(problems), tokenizer_, options_);
  }

 private:
  ScienceQa data_;
  const Tokenizer& tokenizer_;
  PromptOptions options_;
};

}  // namespace

std::unique_ptr<DataSource> scienceqa_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                             const PromptOptions& options) {
  return std::make_unique<ScienceQaSource>(path, tokenizer, options);
}

}  // namespace dehvf
