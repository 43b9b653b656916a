// What operators share that put visual tokens into the sequence: the same number for every image, before the
// text of each sample that has any; those of several images one behind the other.
#pragma once

#include "layers/fusion/operator.h"

namespace dehvf {

/// Where a sample's visual tokens stand: before everything, or behind its first token (the BOS token).
enum class Place : uint8_t { front, behind_bos };

/// Key `place`.
Place read_place(FusionConfig& config, const std::string& fallback);
/// Key `level`: 1 to the tower's depth, by default the last but one.
int read_level(const FusionShapes& shapes, FusionConfig& config);

/// The sequence with `count` tokens put into every sample with images, all of its images together: positions
/// count on, the texts' further ones behind them; those of image_of = i are the `count` rows of tokens() from
/// first_row + i count on. Nothing where no sample has an image.
std::optional<InputTokens> insert_tokens(const TextBatch& text, int64_t count, Place place,
                                         int64_t first_row = 0);

/// The patches of one level, without the class token: [images * patches, tower width].
Variable patches_of(const TowerLevels& tower, int level, bool post_norm);

/// What encode() put there as its only value; throws where it saw no image.
const Variable& encoded_tokens(const ImageState& state);

/// Why operators that put tokens in have no neutral setting.
Neutral never_neutral();

}  // namespace dehvf
