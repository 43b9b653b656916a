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
          model, [pixels](int64_t picture) { return pixels[picture]; }, pixels.size(0),
          {pixels.size(1), pixels.size(2), pixels.size(3)}, cached) {}

PictureSource::PictureSource(const FusedModel& model, std::vector<std::filesystem::path> paths,
                             const ImageRecipe& recipe, bool cached)
    : PictureSource(
          model,
          [paths, recipe](int64_t picture) { return preprocess(read_image(paths[size_t(picture)]), recipe); },
          int64_t(paths.size()), {3, recipe.size, recipe.size}, cached) {}

PictureSource::PictureSource(const FusedModel& model, std::function<Tensor(int64_t)> read, int64_t pictures,
                             Shape shape, bool cached)
    : model_(model),
      read_(std::move(read)),
      images_(model.images()),
      count_(pictures / images_),
      shape_(shape) {
  require(pictures % images_ == 0, "pictures: ", pictures, " for samples of ", images_);
  if (cached) fill_cache();
}

void PictureSource::fill_cache() {
  constexpr int64_t kAtOnce = 256;
  const NoGrad no_grad;
  const int64_t all = images_ * count_ + 1;
  Prefetch<Tensor> ahead(all, 2 * kAtOnce, cpu_threads(),
                         [&](int64_t i) { return i + 1 == all ? zeros(shape_) : read_(i); });
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

Tensor PictureSource::pixels(int32_t index) const {
  const Tensor all = zeros({images_, shape_[0], shape_[1], shape_[2]});
  for (int64_t i = 0; i < images_ && index != kBlank; ++i) copy_into(read_(index * images_ + i), all[i]);
  return all;
}

TowerLevels PictureSource::levels(std::span<const int32_t> indices) const {
  if (indices.empty()) return {};
  if (cached()) return cached_levels(places(indices));
  std::vector<Tensor> chosen(indices.size());
  parallel_for(int64_t(indices.size()), [&](int64_t i) { chosen[size_t(i)] = pixels(indices[size_t(i)]); });
  return model_.look(concat_rows(chosen));
}

Tensor PictureSource::places(std::span<const int32_t> indices) const {
  std::vector<int32_t> places;
  for (const int64_t index : indices)
    for (int64_t i = 0; i < images_; ++i)
      places.push_back(int32_t(index == kBlank ? images_ * count_ : index * images_ + i));
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
