// Keeps the larger entries of every row: ADEM-VL drops the visual features a token attends to least.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

struct DropLowest
    : KernelTag<DropLowest, void(const Tensor& x, int64_t dropped, const Tensor& y, const Tensor& kept)> {
  static constexpr std::string_view name = "drop_lowest";
};
struct DropLowestBackward
    : KernelTag<DropLowestBackward, void(const Tensor& kept, const Tensor& dy, const Tensor& dx)> {
  static constexpr std::string_view name = "drop_lowest_backward";
};

struct DropLowestResult {
  Tensor y, kept;  // kept is u8, 1 where the entry was kept
};

/// x [rows, width]: in each row the floor(fraction width) lowest entries become 0; of equal ones the first in
/// the row go first. 0 <= fraction < 1.
DropLowestResult drop_lowest(const Tensor& x, double fraction);
Tensor drop_lowest_backward(const Tensor& kept, const Tensor& dy);

}  // namespace dehvf
