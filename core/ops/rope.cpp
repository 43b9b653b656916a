#include "core/ops/rope.h"

#include <cmath>
#include <numbers>

#include "core/ops/check.h"

namespace dehvf {
namespace {

double stretched(double frequency, const RopeOptions& options) {
  switch (options.kind) {
    case RopeKind::standard:
      return frequency;
    case RopeKind::linear:
      return frequency / options.factor;
    case RopeKind::llama3: {
      const double wavelength = 2 * std::numbers::pi / frequency, context = double(options.original_context);
      const double low = options.low_frequency_factor, high = options.high_frequency_factor;
      if (wavelength > context / low) return frequency / options.factor;
      if (wavelength < context / high) return frequency;
      const double kept = (context / wavelength - low) / (high - low);
      return frequency * ((1 - kept) / options.factor + kept);
    }
  }
  return frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const RopeOptions& options, int64_t dim) {
  require(dim > 0 && dim % 2 == 0, "rope: head size ", dim, ", wanted an even number");
  require<ConfigError>(options.theta > 0 && options.factor > 0, "rope: theta ", options.theta, " and factor ",
                       options.factor, ", wanted positive numbers");
  if (options.kind == RopeKind::llama3)
    require<ConfigError>(options.low_frequency_factor > 0 &&
                             options.high_frequency_factor > options.low_frequency_factor &&
                             options.original_context > 0,
                         "rope: llama3 with low_freq_factor ", options.low_frequency_factor,
                         ", high_freq_factor ", options.high_frequency_factor, ", original context ",
                         options.original_context, "; wanted 0 < low < high and a positive context");
  std::vector<double> frequencies;
  for (int64_t i = 0; i < dim / 2; ++i)
    frequencies.push_back(stretched(std::pow(options.theta, -2.0 * double(i) / double(dim)), options));
  return frequencies;
}

RopeTable rope_table(const RopeOptions& options, int64_t dim, int64_t positions, DType dtype, Device device) {
  const std::vector<double> frequencies = rope_frequencies(options, dim);
  const Shape shape{positions, dim / 2};
  Tensor cos(shape, dtype), sin(shape, dtype);
  visit_float(dtype, [&]<class T>(std::type_identity<T>) {
    T *c = cos.data<T>(), *s = sin.data<T>();
    for (int64_t p = 0; p < positions; ++p)
      for (double frequency : frequencies) {
        *c++ = T(Compute<T>(std::cos(double(p) * frequency)));
        *s++ = T(Compute<T>(std::sin(double(p) * frequency)));
      }
  });
  return {cos.to(device), sin.to(device)};
}

void rope_into(std::span<const TurnedHeads> all, const Tensor& positions, const RopeTable& table, Turn turn) {
  if (all.empty()) return;
  const Tensor& first = all[0].x;
  for (const auto& [x, y] : all) {
    check_float("rope", "x", x);
    require(x.shape().rank() == 3, "rope: x is ", x.shape(), ", wanted [tokens, heads, dim]");
    require(table.cos.size(1) * 2 == x.size(2), "rope: table for heads of ", table.cos.size(1) * 2, ", x is ",
            x.shape());
    check_like("rope", "x", x, first.shape().with(1, x.size(1)), first.dtype(), first.device());
    check_same("rope", "x", x, "y", y);
  }
  check_like("rope", "positions", positions, {first.size(0)}, DType::i32, first.device());
  check_same("rope", "cos", table.cos, "sin", table.sin);
  require<DeviceError>(table.cos.device() == first.device(), "rope: table on ", table.cos.device(), ", x on ",
                       first.device());
  check_indices("rope", "position", positions, table.cos.size(0));
  run<Rope>(first.device().kind, all, positions, table, turn);
}

Tensor rope(const Tensor& x, const Tensor& positions, const RopeTable& table, Turn turn) {
  const TurnedHeads one{x, Tensor(x.shape(), x.dtype(), x.device())};
  rope_into({&one, 1}, positions, table, turn);
  return one.y;
}

}  // namespace dehvf
