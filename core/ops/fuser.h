// The hierarchical visual fuser in one op: embedding network, cross-attention blocks and softmax over the
// levels of a group. For devices that have kernels for it; layers/fusion/fuser.h composes the same of smaller
// ops.
#pragma once

#include <span>
#include <vector>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

/// What the shapes of the parameters do not say.
struct FuserPlan {
  int positions, heads;
  std::vector<int> first_level;  // of each layer: it reads as many levels from there on as a group has
  double eps = 1e-5;             // of the layer norms
};

/// The parameters, each f32, bf16 or f16: layer embedding [layers, t], position embedding [positions, t], the
/// maps embed.hidden [hidden, 2 t], embed.out [t, hidden] and query [width, t] with their biases; for each
/// block the maps q, k, v, o, the attention's norm, the maps up and down, the MLP's norm, all of `width` and
/// each a weight and a bias; last the map to the weights [group, width].
inline constexpr int kFuserHead = 8, kFuserBlock = 16, kFuserTail = 2, kFuserMostBlocks = 8;

struct FuserForward : KernelTag<FuserForward, void(const Tensor& levels, std::span<const Tensor> parameters,
                                                   const FuserPlan&, const Tensor& weights)> {
  static constexpr std::string_view name = "fuser_forward";
};
/// Writes those of dlevels and `grads`, all f32, that are not empty.
struct FuserBackward : KernelTag<FuserBackward, void(const Tensor& levels, std::span<const Tensor> parameters,
                                                     const FuserPlan&, const Tensor& dweights,
                                                     const Tensor& dlevels, std::span<const Tensor> grads)> {
  static constexpr std::string_view name = "fuser_backward";
};

/// Queries, at most kFuserChunk of them in a row, that read the same levels: the work of one block.
struct FuserChunk {
  int first, count, level;
};
inline constexpr int kFuserChunk = 16, kFuserMostChunks = 64;
std::vector<FuserChunk> fuser_chunks(const FuserPlan& plan);

/// Whether there is a kernel that can do this with `parameters` of these shapes and dtypes.
bool fuser_fits(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan);

/// levels [images, levels, width], the class tokens after the fuser's key map -> weights [images, layers
/// positions, group] in the dtype of levels, each row a softmax. Wants fuser_fits().
Tensor fuser(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan);
void fuser_backward(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan,
                    const Tensor& dweights, const Tensor& dlevels, std::span<const Tensor> grads);

}  // namespace dehvf
