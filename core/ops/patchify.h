// Images cut into the square patches that a tower embeds by one product.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct Patchify : KernelTag<Patchify, void(const Tensor& images, int64_t patch, const Tensor& patches)> {
  static constexpr std::string_view name = "patchify";
};
struct Unpatchify : KernelTag<Unpatchify, void(const Tensor& patches, int64_t patch, const Tensor& images)> {
  static constexpr std::string_view name = "unpatchify";
};

/// images [batch, channels, H, W] -> [batch * (H / patch) * (W / patch), channels * patch * patch]: patches
/// row by row, each in the order of a convolution weight [out, channels, patch, patch] seen as [out, rest].
/// patch must divide H and W.
Tensor patchify(const Tensor& images, int64_t patch);
Tensor unpatchify(const Tensor& patches, const Shape& images, int64_t patch);  // the inverse

}  // namespace dehvf
