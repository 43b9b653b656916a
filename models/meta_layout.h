// Meta's own names and layout of a LLaMA's tensors, and the way to Hugging Face's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace dehvf {

struct MetaTensor {
  std::string name;         // Hugging Face's
  std::optional<int> axis;  // along which shards split it; none: every shard holds all of it
  enum class Rotary { none, query, key } rotary = Rotary::none;
};

/// How Meta's tensor `name` appears on the other side; none for an unknown one. The embedding's axis is 1, as
/// in the first two generations (the third splits axis 0).
std::optional<MetaTensor> meta_tensor(std::string_view name);

/// Rows of a Meta q or k weight [heads * head_dim, width] in Hugging Face's order: pairs (2i, 2i + 1) of a
/// head become (i, i + head_dim / 2).
Tensor permute_rotary_rows(const Tensor& weight, int64_t heads);

}  // namespace dehvf
