#include "train/picture_source.h"

#include <algorithm>

#include "core/ops/rows.h"
#include "core/parallel.h"
#include "data/prefetch.h"

namespace dehvf {

Tensor load_pixels(std::span<const std::filesystem::path> paths, const ImageRecipe& recipe) {
  const Tensor pixels({int64_t(paths.size()), 3, recipe.size, recipe.size}, DType::f32);
  parallel_for(int64_t(paths.size()),
               [&](int64_t i) { copy_into(preprocess(read_image(paths[size_t(i)]), recipe), pixels[i]); });
  return pixels;
}

PictureSource::PictureSource(const FusedModel& model, Tensor pixels, bool cached)
    : PictureSource(
          model, [pixels](int32_t picture) { return pixels[picture]; }, pixels.size(0),
          {pixels.size(1), pixels.size(2), pixels.size(3)}, cached) {}

PictureSource::PictureSource(const FusedModel& model, std::vector<std::filesystem::path> paths,
                             const ImageRecipe& recipe, bool cached)
    : PictureSource(
          model,
          [paths, recipe](int32_t picture) { return preprocess(read_image(paths[size_t(picture)]), recipe); },
          int64_t(paths.size()), {3, recipe.size, recipe.size}, cached) {}

PictureSource::PictureSource(const FusedModel& model, std::function<Tensor(int32_t)> read, int64_t count,
                             Shape shape, bool cached)
    : model_(model), read_(std::move(read)), count_(count), shape_(shape) {
  if (cached) fill_cache();
}

void PictureSource::fill_cache() {
  constexpr int64_t kAtOnce = 256;
  const NoGrad no_grad;
  const int64_t all = count_ + 1;
  Prefetch<Tensor> ahead(all, 2 * kAtOnce, cpu_threads(),
                         [&](int64_t i) { return pixels(i == count_ ? kBlank : int32_t(i)); });
  for (int64_t begin = 0; begin < all; begin += kAtOnce) {
    const int64_t end = std::min(all, begin + kAtOnce);
    const Tensor chunk({end - begin, shape_[0], shape_[1], shape_[2]}, DType::f32);
    for (int64_t i = 0; i < end - begin; ++i) copy_into(*ahead.next(), chunk[i]);
    const TowerLevels part = model_.look(chunk);
    if (begin == 0) {
      const PurposeScope scope(Purpose::caches);
      cache_ = part;
      for (auto& [level, value] : cache_.after_block)
        value = Variable(Tensor(value.shape().with(0, all), value.dtype(), value.device()));
    }
    for (const auto& [level, value] : part.after_block)
      copy_into(value.value(), cache_.after_block.at(level).value().slice(begin, end));
  }
}

Tensor PictureSource::pixels(int32_t picture) const {
  return picture == kBlank ? zeros(shape_) : read_(picture);
}

TowerLevels PictureSource::levels(std::span<const int32_t> pictures) const {
  if (pictures.empty()) return {};
  if (cached()) return cached_levels(places(pictures));
  const Tensor chosen({int64_t(pictures.size()), shape_[0], shape_[1], shape_[2]}, DType::f32);
  parallel_for(int64_t(pictures.size()),
               [&](int64_t i) { copy_into(pixels(pictures[size_t(i)]), chosen[i]); });
  return model_.look(chosen);
}

Tensor PictureSource::places(std::span<const int32_t> pictures) const {
  std::vector<int32_t> places(pictures.begin(), pictures.end());
  std::ranges::replace(places, kBlank, int32_t(count_));
  return tensor_of(places);
}

TowerLevels PictureSource::cached_levels(const Tensor& places) const {
  const Tensor index = places.to(model_.device());
  TowerLevels result = cache_;
  result.images = index.count();
  for (auto& [level, value] : result.after_block) value = Variable(gather_rows(value.value(), index));
  return result;
}

}  // namespace dehvf
