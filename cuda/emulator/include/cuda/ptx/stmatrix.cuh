// Stands in for cuda/ptx/stmatrix.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/tensor.h"

namespace dehvf::cuda::ptx {

inline void stmatrix_x1(void* row, const uint32_t (&r)[1], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x1", where}, false, r, row);
}
inline void stmatrix_x2(void* row, const uint32_t (&r)[2], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x2", where}, false, r, row);
}
inline void stmatrix_x4(void* row, const uint32_t (&r)[4], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x4", where}, false, r, row);
}
inline void stmatrix_x1_trans(void* row, const uint32_t (&r)[1], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x1_trans", where}, true, r, row);
}
inline void stmatrix_x2_trans(void* row, const uint32_t (&r)[2], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x2_trans", where}, true, r, row);
}
inline void stmatrix_x4_trans(void* row, const uint32_t (&r)[4], Where where = Where::current()) {
  simt::store_matrices({"stmatrix_x4_trans", where}, true, r, row);
}

}  // namespace dehvf::cuda::ptx
