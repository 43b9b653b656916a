// Tensors of a file held against those that a model has, and a checksum over both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/safetensors.h"

namespace dehvf {

/// XXH3 (64 bits, hex) of `text` and of every tensor's name, dtype, shape and bytes, in the given order.
std::string checksum(std::string_view text, const NamedTensors& tensors);

NamedTensors load_all(const SafetensorsFile& file);  // sorted by name

using NamedShapes = std::vector<std::pair<std::string, Shape>>;

/// Throws ConfigError "<what>: ..." listing every tensor of `wanted` that `found` lacks or has of another
/// shape, or of another dtype than `dtype`, and every one that it has beyond them. Both are sorted by name.
void require_same_tensors(const std::string& what, const NamedTensors& found, const NamedShapes& wanted,
                          DType dtype);

}  // namespace dehvf
