// The probes of cuda/conformance as functions of the lanes' registers.
#pragma once

#include <algorithm>
#include <random>
#include <vector>

#include "cuda/conformance/probe.h"
#include "support/parity.h"

namespace dehvf {

using Registers = std::vector<uint32_t>;  // n of lane 0, n of lane 1, ...

inline const auto kPtxPlaces =
    testing::Values(Place{kEmulator}, Place{kEmulator, simt::Delivery::late}, Place{kGpu});

class PtxProbes : public Parity {
 protected:
  bool provided(const std::string& probe) const {
    const auto keys = Registry<PtxProbe>::instance().keys();
    return std::ranges::find(keys, KernelKey{device().kind, probe}) != keys.end();
  }

  /// What the lanes hold after `probe`, `count` registers each.
  Registers after(const std::string& probe, const Registers& in, int64_t count) const {
    const std::vector<int32_t> words(in.begin(), in.end());
    const Tensor given = tensor_of<int32_t>(words).reshape({32, int64_t(in.size()) / 32}).to(device());
    Tensor taken({32, count}, DType::i32, device());
    Registry<PtxProbe>::instance().find({device().kind, probe})(given, taken);
    taken = taken.to(kCpu);
    const auto result = taken.span<int32_t>();
    return {result.begin(), result.end()};
  }
};

inline Registers random_registers(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Registers registers(count);
  for (uint32_t& r : registers) r = uint32_t(random());
  return registers;
}

inline uint16_t half_of(uint32_t word, int i) { return uint16_t(word >> 16 * i); }

}  // namespace dehvf
