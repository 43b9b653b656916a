// Rotary position embedding: pairs (x[i], x[i + dim/2]) of a head turned by position * frequency[i]. Angles
// are computed once, in f64.
#pragma once

#include <array>
#include <span>

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

enum class RopeKind : uint8_t { standard, linear, llama3 };

/// How the frequencies theta^(-2i/dim) are stretched for longer contexts: linear divides all by `factor`;
/// llama3 divides those of wavelengths above original_context / low_frequency_factor, keeps those below
/// original_context / high_frequency_factor and blends between.
struct RopeOptions {
  RopeKind kind = RopeKind::standard;
  double theta = 10000;
  double factor = 1, low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_context = 8192;

  friend bool operator==(const RopeOptions&, const RopeOptions&) = default;
};

/// cos and sin [positions, dim / 2] of every angle.
struct RopeTable {
  Tensor cos, sin;
};

std::vector<double> rope_frequencies(const RopeOptions& options, int64_t dim);  // dim / 2 of them
RopeTable rope_table(const RopeOptions& options, int64_t dim, int64_t positions, DType dtype = DType::f32,
                     Device device = kCpu);

enum class Turn : int8_t { forward = 1, back = -1 };

struct TurnedHeads {
  Tensor x, y;  // [tokens, heads, dim] of one dtype; y may be x
  std::array<Tensor, 2> tensors() const { return {x, y}; }
};

struct Rope : KernelTag<Rope, void(std::span<const TurnedHeads> all, const Tensor& positions,
                                   const RopeTable& table, Turn)> {
  static constexpr std::string_view name = "rope";
};

/// Each x [tokens, heads, dim], positions i32 [tokens]: queries and keys, which may have other numbers of
/// heads, are turned at once. Throws ShapeError for a position outside the table (checked where the positions
/// are on the CPU), DTypeError for x of two dtypes.
void rope_into(std::span<const TurnedHeads> all, const Tensor& positions, const RopeTable& table,
               Turn turn = Turn::forward);
Tensor rope(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn = Turn::forward);

}  // namespace dehvf
