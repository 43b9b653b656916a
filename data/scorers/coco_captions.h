// COCO Captions: reference and result files, and their score.
#pragma once

#include <filesystem>

#include "data/scorers/sample_scores.h"

namespace dehvf {

/// Whether texts still have to be tokenized, or are tokens between spaces already.
enum class CaptionText : uint8_t { plain, tokens };

/// `references`: {"annotations": [{image_id, caption}, ...]}; `predictions`: [{image_id, caption}], one for
/// every picture of the references and for no other. Figures: CIDEr-D, BLEU-4 to BLEU-1; a sample's score is
/// its CIDEr-D. Throws IoError naming file and record.
SampleScores score_coco_captions(const std::filesystem::path& predictions,
                                 const std::filesystem::path& references, CaptionText text);

}  // namespace dehvf
