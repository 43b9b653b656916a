// The spans of core/ops/attention.h as kernels read them.
#pragma once

#include <cstdint>

namespace dehvf::cuda {

struct Span {
  int32_t q, q_count, k, k_count;

  /// How many of the span's keys query `row`, counted from its begin, sees; rows behind
  /// the last one see all.
  __device__ int visible(int row, bool causal) const {
    const int count = causal ? k_count - q_count + row + 1 : k_count;
    return count < 0 ? 0 : count < k_count ? count : k_count;
  }
  /// The first of its queries that sees key `key`, counted from its begin.
  __device__ int first_query(int key, bool causal) const {
    const int first = causal ? key - (k_count - q_count) : 0;
    return first < 0 ? 0 : first;
  }
};

/// The span that holds query `row`; its q_count is 0 where there is none.
__device__ inline Span span_of_query(const Span* spans, int count, int64_t row) {
  for (int s = 0; s < count; ++s)
    if (row >= spans[s].q && row < int64_t(spans[s].q) + spans[s].q_count) return spans[s];
  return {0, 0, 0, 0};
}

}  // namespace dehvf::cuda
