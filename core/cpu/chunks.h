// Elementwise loops of the CPU kernels: short runs of elements as Eigen arrays in the type they are computed
// in. 16-bit types are widened into a small buffer and rounded once when they are stored.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include <Eigen/Core>

#include "core/parallel.h"
#include "core/tensor.h"

namespace dehvf::cpu {

inline constexpr int64_t kChunk = 512, kGrain = 64 * kChunk;

/// Host memory of kernels: aligned as Eigen's packets are, because how a vectorised sum is cut depends on
/// where its data begin, and bits must not depend on what the heap returns.
template <class C>
using Aligned = std::vector<C, Eigen::aligned_allocator<C>>;

template <class T>
using Row = Eigen::Array<Compute<T>, Eigen::Dynamic, 1>;
template <class T>
using RowView = Eigen::Map<Row<T>>;
template <class T>
using ConstRowView = Eigen::Map<const Row<T>>;

template <class T>
inline constexpr bool kDirect = std::is_same_v<T, Compute<T>>;

/// `count` <= kChunk elements at `data`, readable as an Eigen array while this lives.
template <class T>
class Loaded {
 public:
  Loaded(const T* data, int64_t count) : count_(count) {
    if constexpr (kDirect<T>) {
      data_ = data;
    } else {
      buffer_[0] = 0;  // the compiler cannot see that count > 0
      for (int64_t i = 0; i < count; ++i) buffer_[i] = float(data[i]);
      data_ = buffer_;
    }
  }
  Loaded(const Loaded&) = delete;
  ConstRowView<T> array() const { return {data_, count_}; }

 private:
  alignas(64) float buffer_[kDirect<T> ? 1 : kChunk];
  const Compute<T>* data_;
  int64_t count_;
};

template <class T, class Expression>
void store(T* out, int64_t count, const Expression& values) {
  if constexpr (kDirect<T>) {
    RowView<T>(out, count) = values;
  } else {
    alignas(64) float buffer[kChunk];
    Eigen::Map<Eigen::ArrayXf>(buffer, count) = values;
    for (int64_t i = 0; i < count; ++i) out[i] = T(buffer[i]);
  }
}

/// out[i] = fn(in[i]...), all threads; fn takes and returns Eigen array expressions.
template <class T, class Fn, class... In>
void map_into(T* out, int64_t count, const Fn& fn, const In*... in) {
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kChunk) {
      const int64_t n = std::min(kChunk, end - i);
      store(out + i, n, fn(Loaded<In>(in + i, n).array()...));
    }
  });
}

/// body(row) over [0, rows), cut by the row's width so that a task is worth its start.
template <class Body>
void for_rows(int64_t rows, int64_t width, const Body& body) {
  parallel_ranges(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) body(row);
                  });
}

/// body(begin, n) over one row of `width` elements, n <= kChunk.
template <class Body>
void for_chunks(int64_t width, const Body& body) {
  for (int64_t c = 0; c < width; c += kChunk) body(c, std::min(kChunk, width - c));
}

/// The elements of a short float tensor, such as a row of weights, in the type they are computed in.
template <class C>
Aligned<C> widened(const Tensor& tensor) {
  Aligned<C> values(size_t(tensor.count()));
  visit_float(tensor.dtype(), [&]<class T>(std::type_identity<T>) {
    std::ranges::transform(tensor.span<T>(), values.begin(), [](T v) { return C(Compute<T>(v)); });
  });
  return values;
}

/// out[c] = sum over rows of term(row, c) in row order, for every column; columns are shared among the
/// threads. term(row, begin, n) returns an Eigen array of the n columns from `begin`.
template <class T, class Term>
void sum_over_rows(T* out, int64_t rows, int64_t width, const Term& term) {
  parallel_ranges(width, kChunk / 8, [&](int64_t begin, int64_t end) {
    Row<T> sum = Row<T>::Zero(end - begin);
    for (int64_t row = 0; row < rows; ++row) sum += term(row, begin, end - begin);
    for (int64_t i = begin; i < end; ++i) out[i] = T(sum[i - begin]);
  });
}

}  // namespace dehvf::cpu
