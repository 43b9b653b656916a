// Weighted sums of groups of consecutive visual levels, one for each query: the mixing of a hierarchical
// fuser.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct GroupMix : KernelTag<GroupMix, void(const Tensor& weights, const Tensor& levels,
                                           const Tensor& first_level, const Tensor& mixed)> {
  static constexpr std::string_view name = "group_mix";
};
/// Writes those of dweights and dlevels that are not empty, in the statistics dtype.
struct GroupMixBackward
    : KernelTag<GroupMixBackward, void(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                                       const Tensor& dmixed, const Tensor& dweights, const Tensor& dlevels)> {
  static constexpr std::string_view name = "group_mix_backward";
};

/// weights [images, queries, group], levels [images, level_count, patches, rank], first_level i32 [queries]
/// -> [queries, images, patches, rank]:
///   mixed[q, i] = sum over g of weights[i, q, g] levels[i, first_level[q] + g]
Tensor group_mix(const Tensor& weights, const Tensor& levels, const Tensor& first_level);
void group_mix_backward(const Tensor& weights, const Tensor& levels, const Tensor& first_level,
                        const Tensor& dmixed, const Tensor& dweights, const Tensor& dlevels);

}  // namespace dehvf
