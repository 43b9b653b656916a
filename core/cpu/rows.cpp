#include "core/ops/rows.h"

#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

int64_t row_size(const Tensor& x) { return x.size(0) == 0 ? 0 : x.count() / x.size(0); }

void gather_rows(const Tensor& x, const Tensor& index, const Tensor& y) {
  const auto bytes = size_t(row_size(x)) * size_of(x.dtype());
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y.raw());
  for_rows(y.size(0), int64_t(bytes), [&](int64_t i) {
    std::memcpy(to + size_t(i) * bytes, from + size_t(index.data<int32_t>()[i]) * bytes, bytes);
  });
}

// Sources of each entry in their order, by a counting sort: entries are then independent of each other.
void scatter_add_rows(const Tensor& rows, const Tensor& index, const Tensor& sum) {
  const auto indices = index.span<int32_t>();
  std::vector<int64_t> begin(size_t(sum.size(0)) + 1, 0), sources(indices.size());
  for (int32_t r : indices) ++begin[size_t(r) + 1];
  for (size_t r = 1; r < begin.size(); ++r) begin[r] += begin[r - 1];
  std::vector<int64_t> next(begin.begin(), begin.end() - 1);
  for (size_t i = 0; i < indices.size(); ++i) sources[size_t(next[size_t(indices[i])]++)] = int64_t(i);
  const int64_t width = row_size(sum);
  visit_float(rows.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    for_rows(sum.size(0), width, [&](int64_t r) {
      C* const out = sum.data<C>() + r * width;
      std::fill_n(out, width, C(0));
      for (int64_t s = begin[size_t(r)]; s < begin[size_t(r) + 1]; ++s) {
        const T* const from = rows.data<T>() + sources[size_t(s)] * width;
        for (int64_t c = 0; c < width; ++c) out[c] += C(from[c]);
      }
    });
  });
}

void copy_columns(const Tensor& from, int64_t from_begin, const Tensor& to, int64_t to_begin, int64_t count) {
  const auto element = int64_t(size_of(from.dtype()));
  const int64_t from_stride = from.shape().last() * element, to_stride = to.shape().last() * element;
  const auto* const source = static_cast<const std::byte*>(from.raw()) + from_begin * element;
  auto* const target = static_cast<std::byte*>(to.raw()) + to_begin * element;
  for_rows(from.shape().rows(), count * element, [&](int64_t row) {
    std::memcpy(target + row * to_stride, source + row * from_stride, size_t(count * element));
  });
}

const Provide<GatherRows> provide_gather_rows{{DeviceKind::cpu}, gather_rows};
const Provide<ScatterAddRows> provide_scatter_add_rows{{DeviceKind::cpu}, scatter_add_rows};
const Provide<CopyColumns> provide_copy_columns{{DeviceKind::cpu}, copy_columns};

}  // namespace
}  // namespace dehvf::cpu
