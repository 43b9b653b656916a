// A product of row-major matrices as a library of column-major ones takes it. A row-major [r, c] matrix is
// the column-major [c, r] one, so that c^T = b^T a^T comes out in the place of c.
#pragma once

#include <cstdint>

namespace dehvf::cuda {

/// A column-major matrix as it is stored, one column every `ld` elements, and whether it is transposed before
/// it is multiplied.
struct ColumnMajor {
  int64_t rows, columns, ld;
  bool transposed;
};

struct ColumnProduct {
  ColumnMajor left, right, out;  // left is b, right is a
};

/// For c [m, n] = a b; a is [m, k] or, transposed, stored [k, m], b [k, n] or stored [n, k].
inline ColumnProduct column_major(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b) {
  return {transpose_b ? ColumnMajor{k, n, k, true} : ColumnMajor{n, k, n, false},
          transpose_a ? ColumnMajor{m, k, m, true} : ColumnMajor{k, m, k, false},
          {n, m, n, false}};
}

/// The largest power of two, up to 256, that divides an address.
inline uint32_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data) | 256;
  return uint32_t(address & (~address + 1));
}

}  // namespace dehvf::cuda
