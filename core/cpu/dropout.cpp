#include "core/ops/dropout.h"

#include "core/cpu/chunks.h"
#include "core/random.h"

namespace dehvf::cpu {
namespace {

template <class T>
void dropout_as(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec, const Tensor& y) {
  using C = Compute<T>;
  const uint64_t key = dropout_key(spec);
  const auto threshold = uint64_t(spec.rate * 0x1p32);
  const C kept = C(1 / (1 - spec.rate));
  const auto offsets = sample_offsets.span<int32_t>();
  const int64_t width = x.size(1);
  // A philox block costs about as much as 16 elements of plain arithmetic.
  for_rows(x.size(0), 16 * width, [&](int64_t row) {
    const int64_t sample = std::ranges::upper_bound(offsets, row) - offsets.begin() - 1;
    const auto position = spec.positions.defined() ? uint32_t(spec.positions.data<int32_t>()[row])
                                                   : uint32_t(row - offsets[size_t(sample)]);
    const auto id = uint64_t(spec.sample_ids.data<int64_t>()[sample]);
    const T* in = x.data<T>() + row * width;
    T* out = y.data<T>() + row * width;
    for (int64_t slot = 0; slot < width; slot += 4) {
      const auto words = philox({position, uint32_t(slot / 4), uint32_t(id), uint32_t(id >> 32)}, key);
      for (int64_t i = 0; i < std::min<int64_t>(4, width - slot); ++i)
        out[slot + i] = words[size_t(i)] < threshold ? T(C(0)) : T(C(in[slot + i]) * kept);
    }
  });
}

void dropout(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec, const Tensor& y) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) { dropout_as<T>(x, sample_offsets, spec, y); });
}

const Provide<Dropout> provide_dropout{{DeviceKind::cpu}, dropout};

}  // namespace
}  // namespace dehvf::cpu
