// Kernels against the CPU's in f64, on inputs already rounded: on a GPU where there is one, in the emulator
// with asynchronous work delivered at once and as late as legal, and the CPU's own as the proof that the
// comparison itself is fair.
#pragma once

#include <gtest/gtest.h>

#include "core/device_report.h"
#include "core/ops/elementwise.h"
#include "core/random.h"
#include "cuda/emulator/delivery.h"
#include "cuda/emulator/sanitizer.h"

namespace dehvf {

inline constexpr DType kKernelDtypes[] = {DType::f32, DType::bf16, DType::f16};
inline constexpr Device kGpu{DeviceKind::cuda, 0}, kEmulator{DeviceKind::emulator, 0};

/// The terms of contracts.md 9: |out - ref| <= 4 eps_f32 sqrt(K) ||a|| ||b|| + one rounding per store, and
/// for each intermediate result of fewer bits.
struct Bound {
  double additions = 1;     // K
  double magnitude = 0;     // ||a|| ||b||; 0 takes the largest |reference|
  int stores = 1;           // roundings to the storage dtype
  DType held = DType::f64;  // of intermediate results, of which the longest chain has so many; each moves a
  int rounded = 0;          // sum by half a rounding of ||a|| ||b||, and independent ones add up as squares
};

/// Fails the test unless `out`, on any device, is `want` (f64, CPU) within the bound of its dtype. An element
/// moved by 0.1 (1 + |element|) must not pass.
void expect_close(const Tensor& out, const Tensor& want, const Bound& bound, std::string_view what);

/// [count] random elements in +-range that begin `shift` elements behind an aligned address.
Tensor drawn(int64_t count, int64_t shift, DType dtype, Device device, uint64_t key, double range = 6);
inline Tensor exact(const Tensor& x) { return cast(x.to(kCpu), DType::f64); }

/// Whether a case of so many multiplications is to run in that dtype: all are, but under the race detector,
/// which takes a hundred times as long, larger shapes in bf16 only and the largest not at all.
inline bool affordable(int64_t multiplications, DType dtype) {
  return !simt::sanitizer::sees_races() || multiplications <= 50'000 ||
         (dtype == DType::bf16 && multiplications <= 700'000);
}

/// Where a kernel runs, and how its asynchronous work arrives.
struct Place {
  Device device;
  simt::Delivery delivery = simt::Delivery::eager;
};
std::string place_name(const testing::TestParamInfo<Place>& info);  // cpu, emulator, emulator_late, cuda

inline const auto kPlaces = testing::Values(Place{kCpu}, Place{kEmulator}, Place{kGpu});
/// For kernels that copy or multiply asynchronously.
inline const auto kAsyncPlaces =
    testing::Values(Place{kCpu}, Place{kEmulator}, Place{kEmulator, simt::Delivery::late}, Place{kGpu});

class Parity : public testing::TestWithParam<Place> {
 protected:
  Parity() : delivery_(GetParam().delivery) {}
  void SetUp() override;  // skips where there is no such device
  Device device() const { return GetParam().device; }
  /// All that compute the op here.
  template <class Tag>
  std::vector<KernelKey> variants() const {
    std::vector<KernelKey> found = Registry<Tag>::instance().keys();
    std::erase_if(found, [this](const KernelKey& key) { return key.device != device().kind; });
    return found;
  }
  /// `count` elements behind `shift`, and one more, all zero: output(...).slice(shift, shift + count) is
  /// what a kernel may write.
  Tensor output(int64_t count, int64_t shift, DType dtype) const;
  static void expect_untouched_behind(const Tensor& whole, int64_t end);

 private:
  simt::DeliveryScope delivery_;
};

}  // namespace dehvf
