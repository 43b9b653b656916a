#include "core/ops/group_mix.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

// `products` of every weight with a level's [patches, rank].
void count(std::string_view kernel, const Tensor& weights, const Tensor& levels, int products) {
  if (Trace* trace = Trace::current())
    trace->add_flops(kernel, 2.0 * products * double(weights.count() * levels.size(2) * levels.size(3)));
}

}  // namespace

Tensor group_mix(const Tensor& weights, const Tensor& levels, const Tensor& first_level) {
  check_float("group_mix", "levels", levels);
  require(levels.shape().rank() == 4, "group_mix: levels is ", levels.shape(),
          ", wanted [images, levels, patches, rank]");
  require(weights.shape().rank() == 3, "group_mix: weights is ", weights.shape(),
          ", wanted [images, queries, group]");
  const int64_t images = levels.size(0), queries = weights.size(1), group = weights.size(2);
  check_like("group_mix", "weights", weights, {images, queries, group}, levels.dtype(), levels.device());
  check_like("group_mix", "first_level", first_level, {queries}, DType::i32, levels.device());
  if (levels.device() == kCpu)
    for (int64_t q = 0; q < queries; ++q) {
      const int32_t first = first_level.data<int32_t>()[q];
      require(first >= 0 && first + group <= levels.size(1), "group_mix: query ", q, " wants levels ", first,
              " to ", first + group - 1, " of ", levels.size(1));
    }
  Tensor mixed({queries, images, levels.size(2), levels.size(3)}, levels.dtype(), levels.device());
  count(GroupMix::name, weights, levels, 1);
  run<GroupMix>(levels.device().kind, weights, levels, first_level, mixed);
  return mixed;
}

void group_mix_backward(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                        const Tensor& dmixed, const Tensor& dweights, const Tensor& dlevels) {
  count(GroupMixBackward::name, weights, levels, bool(dweights) + bool(dlevels));
  run<GroupMixBackward>(dmixed.device().kind, weights, levels, first_level, dmixed, dweights, dlevels);
}

}  // namespace dehvf
