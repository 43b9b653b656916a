// The pictures of a data set as the tower's levels: computed once and kept, or from pixels in every step.
#pragma once

#include <span>
#include <vector>

#include "data/recipes.h"
#include "models/fused_model.h"

namespace dehvf {

/// f32 [pictures, 3, side, side], read and preprocessed by all threads. The first bad file is reported.
Tensor load_pixels(std::span<const std::filesystem::path> paths, const ImageRecipe& recipe);

class PictureSource {
 public:
  /// With `cached` all levels are computed now and kept: only right where nothing in the tower is trained.
  PictureSource(const FusedModel& model, Tensor pixels, bool cached);

  int64_t count() const { return pixels_.size(0) - 1; }  // without the blank one
  /// Levels of the pictures named, in that order; no pictures, no levels. An index of kBlank is a picture of
  /// zeros.
  TowerLevels levels(std::span<const int32_t> pictures, const TowerDropout& dropout = {}) const;
  static constexpr int32_t kBlank = -2;

 private:
  const FusedModel& model_;
  Tensor pixels_;      // the last picture is blank
  TowerLevels cache_;  // of all pictures; no levels when not cached
};

}  // namespace dehvf
