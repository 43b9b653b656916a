// COCO Captions: reference and result files, and their score.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/scorers/sample_scores.h"

namespace dehvf {

/// Whether texts still have to be tokenized, or are tokens between spaces already.
enum class CaptionText : uint8_t { plain, tokens };

/// References by picture, in the order in which pictures are first named; at least one. Throws IoError.
struct CaptionReferences {
  std::vector<std::string> ids;
  std::map<std::string, std::vector<std::string>> captions;
};
CaptionReferences read_caption_references(const std::filesystem::path& path);

/// One candidate for each of the references' ids, in their order.
SampleScores score_coco_captions(std::vector<std::string> candidates, const CaptionReferences& references,
                                 CaptionText text);

/// `references`: {"annotations": [{image_id, caption}, ...]}; `predictions`: [{image_id, caption}], one for
/// every picture of the references and for no other. Figures: CIDEr-D, BLEU-4 to BLEU-1; a sample's score is
/// its CIDEr-D. Throws IoError naming file and record.
SampleScores score_coco_captions(const std::filesystem::path& predictions,
                                 const std::filesystem::path& references, CaptionText text);

}  // namespace dehvf
