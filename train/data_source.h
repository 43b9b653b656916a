// Data sets as a run sees them: examples to train on, questions to ask, and what the answers are worth.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "train/examples.h"

namespace dehvf {

using PicturePaths = std::vector<std::filesystem::path>;

/// What was answered to one question: by ranking the index of a choice, by writing a text.
struct Reply {
  int64_t choice = -1;
  std::string text;
};

/// A share or a mean of 0 to 1 (CIDEr-D to 10); where samples are right or wrong, how many.
struct Figure {
  std::string name;
  double value = 0;
  int64_t right = 0, of = 0;
};

struct Score {
  std::vector<Figure> figures;
  std::vector<double> samples;  // of each question
  bool right_or_wrong = false;  // whether a sample's score is always 0 or 1
  int64_t invalid = 0;          // written answers that name no choice; they count as wrong
};

/// The questions of one split. The replies are one for each question, in their order.
class Exam {
 public:
  virtual ~Exam() = default;
  std::vector<Question> questions;
  std::vector<PicturePaths> pictures;      // of each question
  bool may_rank = true, may_write = true;  // how they can be answered; both: by ranking unless told
  int64_t most_tokens = 1;                 // of a written answer

  virtual Score score(const std::vector<Reply>& replies) const = 0;
  /// Writes the format's own layout of predictions.
  virtual void write(const std::filesystem::path& path, const std::vector<Reply>& replies) const = 0;
};

using OnExample = std::function<bool(Example, const PicturePaths&)>;  // false ends the visit

class DataSource {
 public:
  virtual ~DataSource() = default;
  /// What the prompts look like: an adapter is only good for those that it was trained with.
  virtual std::string prompt() const = 0;
  virtual void each_example(const std::string& split, const OnExample& visit) const = 0;
  /// Of the first `limit` questions; 0 takes all.
  virtual std::unique_ptr<Exam> exam(const std::string& split, int64_t limit) const = 0;
};

/// What `path` holds is told by its files: problems.json (ScienceQA), captions_*.json (COCO),
/// questions_*.json or v2_OpenEnded_*.json (VQAv2), train, val, dev or test.json (NLVR2), the last three also
/// below annotations/; a file holds LLaVA's conversations. `tokenizer` must outlive the source. Throws
/// IoError for none or more than one of them.
std::unique_ptr<DataSource> open_data_source(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                             const PromptOptions& prompt);

/// Each in a file of its own.
using MakeSource = std::unique_ptr<DataSource>(const std::filesystem::path& path, const Tokenizer& tokenizer,
                                               const PromptOptions& prompt);
MakeSource scienceqa_source, conversation_source, caption_source, vqa_source, pair_source;

/// The first of `names` that is a file in `folder`, its annotations/ or its data/. Throws IoError naming
/// them.
std::filesystem::path annotation_file(const std::filesystem::path& folder,
                                      const std::vector<std::string>& names);
/// Where the first of `names` stands: images/SPLIT/, SPLIT/ or images/ of `folder`; the first such place
/// where none is there.
std::filesystem::path picture_file(const std::filesystem::path& folder, const std::string& split,
                                   const std::vector<std::string>& names);

}  // namespace dehvf
