// The demo's scenes in the layouts of other benchmarks: captions, questions with ten answers, and statements
// about two pictures.
#pragma once

#include "data/scene_generator.h"

namespace dehvf {

/// captions: captions_SPLIT.json as COCO has them, five a picture. vqa: questions_SPLIT.json and
/// annotations_SPLIT.json as VQAv2 has them: colour, texture, class, count and yes/no, where a few of ten
/// people disagree and some write numbers as digits. pairs: SPLIT.json as NLVR2 has it: of the four pairs of
/// pictures to a sentence two make it true.
enum class SceneFormat : uint8_t { captions, vqa, pairs };

/// Writes these and images/SPLIT/*.png for train, val and test, whose counts are pictures, questions and
/// pairs, and manifest.json as write_scene_data() does, with the same promises; returns its hash.
uint64_t write_scene_set(const SceneWorld& world, SceneFormat format, const SceneDataConfig& config,
                         const std::filesystem::path& folder);

}  // namespace dehvf
