// What one training step multiplies.
#pragma once

#include <array>
#include <map>
#include <set>

#include "train/contract/tiny.h"

namespace dehvf::contract {

using Sizes = std::array<int64_t, 3>;  // m, n, k
using ProductCounts = std::map<Sizes, int>;

struct StepProducts {
  ProductCounts forward, backward;
};

/// tiny::input() with some tokens more: no sample has as many, or labelled ones, as a frozen matrix has rows.
tiny::Input product_input();
StepProducts step_products(const FusedModel& model, SegmentMode mode);  // of a step on product_input()
std::set<std::pair<int64_t, int64_t>> matrices(const std::vector<NamedParameter>& parameters);
/// Products of the backward pass that have the shape of a frozen weight [out, in], and of nothing trainable.
ProductCounts weight_gradients(FusedModel& model, const ProductCounts& backward);

}  // namespace dehvf::contract
