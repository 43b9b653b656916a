#include "train/picture_source.h"

#include "core/ops/rows.h"
#include "core/parallel.h"

namespace dehvf {

Tensor load_pixels(std::span<const std::filesystem::path> paths, const ImageRecipe& recipe) {
  const Tensor pixels({int64_t(paths.size()), 3, recipe.size, recipe.size}, DType::f32);
  parallel_for(int64_t(paths.size()),
               [&](int64_t i) { copy_into(preprocess(read_image(paths[size_t(i)]), recipe), pixels[i]); });
  return pixels;
}

PictureSource::PictureSource(const FusedModel& model, Tensor pixels, bool cached) : model_(model) {
  const Shape& shape = pixels.shape();
  pixels_ = zeros(shape.with(0, shape[0] + 1), pixels.dtype());
  copy_into(pixels, pixels_.slice(0, shape[0]));
  if (!cached) return;
  constexpr int64_t kAtOnce = 256;
  const NoGrad no_grad;
  for (int64_t begin = 0; begin < pixels_.size(0); begin += kAtOnce) {
    const int64_t end = std::min(pixels_.size(0), begin + kAtOnce);
    const TowerLevels part = model_.look(pixels_.slice(begin, end));
    if (begin == 0) {
      cache_ = part;
      for (auto& [level, value] : cache_.after_block)
        value = Variable(Tensor(value.shape().with(0, pixels_.size(0)), value.dtype()));
    }
    for (const auto& [level, value] : part.after_block)
      copy_into(value.value(), cache_.after_block.at(level).value().slice(begin, end));
  }
}

TowerLevels PictureSource::levels(std::span<const int32_t> pictures, const TowerDropout& dropout) const {
  if (pictures.empty()) return {};
  std::vector<int32_t> chosen(pictures.begin(), pictures.end());
  for (int32_t& picture : chosen)
    if (picture == kBlank) picture = int32_t(pixels_.size(0)) - 1;
  const Tensor index = tensor_of(chosen);
  if (cache_.after_block.empty()) return model_.look(gather_rows(pixels_, index), dropout);
  TowerLevels result = cache_;
  result.images = index.count();
  for (auto& [level, value] : result.after_block) value = Variable(gather_rows(value.value(), index));
  return result;
}

}  // namespace dehvf
