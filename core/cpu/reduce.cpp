#include "core/ops/reduce.h"

#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

void sum_rows(const Tensor& x, const Tensor& sum) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    visit_float(sum.dtype(), [&]<class S>(std::type_identity<S>) {
      const int64_t width = x.shape().last();
      sum_over_rows(sum.data<S>(), x.shape().rows(), width, [&](int64_t row, int64_t begin, int64_t n) {
        return Row<S>(Loaded<T>(x.data<T>() + row * width + begin, n).array().template cast<Compute<S>>());
      });
    });
  });
}

void dot_rows(const Tensor& a, const Tensor& b, const Tensor& dots) {
  visit_float(a.dtype(), [&]<class T>(std::type_identity<T>) {
    const int64_t width = a.shape().last();
    for_rows(a.shape().rows(), width, [&](int64_t row) {
      Compute<T> dot = 0;
      for (int64_t c = 0; c < width; c += kChunk) {
        const int64_t n = std::min(kChunk, width - c), at = row * width + c;
        dot += (Loaded<T>(a.data<T>() + at, n).array() * Loaded<T>(b.data<T>() + at, n).array()).sum();
      }
      dots.data<T>()[row] = T(dot);
    });
  });
}

// Each chunk's sum on its own, then the chunks in order: the cut depends on the count alone.
void sum_all(const Tensor& x, const Tensor& sum) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    std::vector<C> parts(size_t((x.count() + kGrain - 1) / kGrain));
    parallel_ranges(x.count(), kGrain, [&](int64_t begin, int64_t end) {
      C part = 0;
      for (int64_t i = begin; i < end; i += kChunk)
        part += Loaded<T>(x.data<T>() + i, std::min(kChunk, end - i)).array().sum();
      parts[size_t(begin / kGrain)] = part;
    });
    C total = 0;
    for (C part : parts) total += part;
    *sum.data<C>() = total;
  });
}

const Provide<SumRows> provide_sum_rows{{DeviceKind::cpu}, sum_rows};
const Provide<DotRows> provide_dot_rows{{DeviceKind::cpu}, dot_rows};
const Provide<SumAll> provide_sum_all{{DeviceKind::cpu}, sum_all};

}  // namespace
}  // namespace dehvf::cpu
