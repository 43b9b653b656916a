// Many sums at once: the gradients of a backward pass go to their parameters in few launches.
#pragma once

#include <array>
#include <span>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct Addition {
  Tensor x, sum;  // of one shape; neither dtype matters
  std::array<Tensor, 2> tensors() const { return {x, sum}; }
};

struct AddEach : KernelTag<AddEach, void(std::span<const Addition>)> {
  static constexpr std::string_view name = "add_each";
};

/// sum += x for each in their order, with one rounding each: the bits of as many add_into(). A sum may come
/// several times; no other memory may be shared. All on one device. Throws ShapeError, DeviceError.
void add_each(std::span<const Addition> additions);

}  // namespace dehvf
