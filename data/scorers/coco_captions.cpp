#include "data/scorers/coco_captions.h"

#include "core/error.h"
#include "core/io/file.h"
#include "data/scorers/caption_score.h"
#include "data/scorers/ptb_tokenizer.h"
#include "data/scorers/record_file.h"

namespace dehvf {
namespace {

std::map<std::string, std::string> read_results(const std::filesystem::path& path,
                                                const CaptionReferences& references) {
  std::map<std::string, std::string> result;
  each_record(path, "annotations", [&](const Record& record) {
    const std::string id = record.id("image_id");
    require<IoError>(references.captions.contains(id), record.what, ": image_id ", printable(id, 60),
                     " has no reference");
    require<IoError>(result.emplace(id, record.text("caption")).second, record.what, ": image_id ",
                     printable(id, 60), " has a caption already");
  });
  return result;
}

std::vector<std::string> tokenized(std::vector<std::string> texts, CaptionText text) {
  return text == CaptionText::tokens ? texts : caption_tokens(texts);
}

}  // namespace

CaptionReferences read_caption_references(const std::filesystem::path& path) {
  CaptionReferences result;
  each_record(path, "annotations", [&](const Record& record) {
    const std::string id = record.id("image_id");
    auto& captions = result.captions[id];
    if (captions.empty()) result.ids.push_back(id);
    captions.push_back(record.text("caption"));
  });
  require<IoError>(!result.ids.empty(), path.string(), ": wanted at least one reference, found none");
  return result;
}

SampleScores score_coco_captions(std::vector<std::string> candidates, const CaptionReferences& references,
                                 CaptionText text) {
  // All references in one go and all candidates in another, because the tokenizer sees from one line into
  // the next.
  std::vector<std::string> all;
  for (const std::string& id : references.ids) {
    const auto& captions = references.captions.at(id);
    all.insert(all.end(), captions.begin(), captions.end());
  }
  candidates = tokenized(std::move(candidates), text);
  all = tokenized(std::move(all), text);
  std::vector<CaptionTokens> pictures;
  auto next = all.begin();
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto count = std::ptrdiff_t(references.captions.at(references.ids[i]).size());
    pictures.push_back({candidates[i], {next, next + count}});
    next += count;
  }
  CaptionScore score = score_captions(pictures);
  return {.figures = {{"CIDEr-D", score.cider},
                      {"BLEU-4", score.bleu[3]},
                      {"BLEU-3", score.bleu[2]},
                      {"BLEU-2", score.bleu[1]},
                      {"BLEU-1", score.bleu[0]}},
          .samples = std::move(score.ciders)};
}

SampleScores score_coco_captions(const std::filesystem::path& predictions,
                                 const std::filesystem::path& references, CaptionText text) {
  const CaptionReferences truth = read_caption_references(references);
  const auto results = read_results(predictions, truth);
  std::vector<std::string> candidates;
  for (const std::string& id : truth.ids) {
    const auto found = results.find(id);
    require<IoError>(found != results.end(), predictions.string(), ": has captions for ", results.size(),
                     " of the ", truth.ids.size(), " pictures of ", references.string(),
                     "; the first without one is image_id ", printable(id, 60));
    candidates.push_back(found->second);
  }
  return score_coco_captions(std::move(candidates), truth, text);
}

}  // namespace dehvf
