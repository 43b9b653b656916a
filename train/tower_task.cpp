#include "train/tower_task.h"

#include <numeric>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/norm.h"
#include "autograd/ops/patchify.h"
#include "autograd/ops/rows.h"
#include "core/parallel.h"

namespace dehvf {
namespace {

int64_t class_count(const std::vector<const SceneWorld*>& worlds) {
  int64_t count = 0;
  for (const SceneWorld* world : worlds) count += int64_t(world->words(Attribute::object).size());
  return count;
}

Variable mean_square(const Variable& a, const Variable& b) {
  const Variable difference = add(a, scale(b, -1));
  return scale(sum_all(multiply(difference, difference)), 1.0 / double(a.shape().count()));
}

Variable mean_cross_entropy(const Linear& head, const Variable& x, const Tensor& targets) {
  return scale(sum_all(cross_entropy(x, head.weight, targets.to(x.device()))), 1.0 / double(targets.count()));
}

}  // namespace

TowerTask::TowerTask(VisionTower& tower, std::vector<const SceneWorld*> worlds, const ImageRecipe& recipe,
                     const Options& options)
    : tower_(tower),
      worlds_(std::move(worlds)),
      recipe_(recipe),
      options_(options),
      all_(tower, tower.config().width, class_count(worlds_),
           3 * tower.config().patch * tower.config().patch) {}

int TowerTask::prepare(uint64_t step) {
  step_ = step;
  const int64_t batch = options_.batch, side = recipe_.size;
  pixels_ = Tensor({2 * batch, 3, side, side}, DType::f32);
  objects_ = Tensor({2 * batch}, DType::i32);
  counts_ = Tensor({2 * batch}, DType::i32);
  std::vector<int32_t> first_class{0};
  for (const SceneWorld* world : worlds_)
    first_class.push_back(first_class.back() + int32_t(world->words(Attribute::object).size()));
  parallel_for(2 * batch, [&](int64_t i) {
    const int64_t scene = int64_t(next_) * batch + i % batch;
    const size_t world = size_t(scene) % worlds_.size();
    const Scene drawn = make_scene(*worlds_[world], options_.seed, scene, i / batch);
    copy_into(preprocess(drawn.image, recipe_), pixels_[i]);
    objects_.data<int32_t>()[i] = first_class[world] + drawn.labels[Attribute::object];
    counts_.data<int32_t>()[i] = drawn.labels[Attribute::count];
  });
  ++next_;
  return 1;
}

Variable TowerTask::loss(int, std::span<const Tensor>, const Tensor&) {
  const VisionConfig& config = tower_.config();
  const int levels[] = {options_.pixel_level, config.layers};
  const TowerLevels seen = tower_(Variable(pixels_), levels, nullptr);
  const int64_t images = seen.images, tokens = seen.patches + 1;
  const auto rows_of = [&](int level, bool class_token) {
    const Variable flat = reshape(seen.after_block.at(level), {images * tokens, config.width});
    std::vector<int32_t> rows;
    for (int64_t i = 0; i < images; ++i)
      for (int64_t t = class_token ? 0 : 1; t < (class_token ? 1 : tokens); ++t)
        rows.push_back(int32_t(i * tokens + t));
    return layer_norm(gather_rows(flat, tensor_of(rows, flat.device())), seen.post_norm_weight,
                      seen.post_norm_bias, seen.post_norm_eps);
  };
  const Variable top = rows_of(config.layers, true);
  const Variable told =
      add(mean_cross_entropy(all_.object, top, objects_), mean_cross_entropy(all_.count, top, counts_));
  const Variable rebuilt = mean_square(all_.pixels(rows_of(options_.pixel_level, false)),
                                       patchify(Variable(pixels_.to(top.device())), config.patch));
  // At full weight from the start it would keep the classes from being learned.
  const double ramp = std::min(1.0, double(step_) / (0.5 * double(options_.steps)));
  const Variable same = mean_square(slice_rows(top, 0, images / 2), slice_rows(top, images / 2, images));
  return add(add(told, scale(rebuilt, options_.reconstruction)), scale(same, ramp * options_.invariance));
}

}  // namespace dehvf
