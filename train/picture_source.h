// The pictures of a data set as the tower's levels: computed once and kept beside the model, or from pixels
// in every step. What one sample sees has one index: picture i, or pictures i p to i p + p - 1 where samples
// of the model have p images.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "data/recipes.h"
#include "models/fused_model.h"

namespace dehvf {

/// f32 [pictures, 3, side, side], read and preprocessed by all threads. The first bad file is reported.
Tensor load_pixels(std::span<const std::filesystem::path> paths, const ImageRecipe& recipe);

class PictureSource {
 public:
  /// Pixels of pictures in memory. With `cached` all levels are computed now and kept: only right where
  /// nothing in the tower is trained.
  PictureSource(const FusedModel& model, Tensor pixels, bool cached);
  /// Pictures in files, decoded when they are asked for; with `cached` once, now, ahead of the tower.
  PictureSource(const FusedModel& model, std::vector<std::filesystem::path> paths, const ImageRecipe& recipe,
                bool cached);

  int64_t count() const { return count_; }  // of the indices
  bool cached() const { return !cache_.after_block.empty(); }

  /// f32 [p, 3, side, side]; an index of kBlank is pictures of zeros. From any thread. Throws IoError naming
  /// the file.
  Tensor pixels(int32_t index) const;
  /// Levels of the pictures named, in that order; no pictures, no levels.
  TowerLevels levels(std::span<const int32_t> indices) const;
  /// The same in two parts, of a cached source: on the host i32 [pictures], where they are kept; and the
  /// levels from there.
  Tensor places(std::span<const int32_t> indices) const;
  TowerLevels cached_levels(const Tensor& places) const;
  static constexpr int32_t kBlank = -2;

 private:
  PictureSource(const FusedModel& model, std::function<Tensor(int64_t)> read, int64_t pictures, Shape shape,
                bool cached);
  void fill_cache();

  const FusedModel& model_;
  std::function<Tensor(int64_t)> read_;  // one picture
  int64_t images_, count_;
  Shape shape_;        // of one picture's pixels
  TowerLevels cache_;  // of all pictures and a blank one behind them; no levels when not cached
};

}  // namespace dehvf
