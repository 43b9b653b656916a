// Stands in for cuda/ptx/matrix.cuh.
#pragma once

#include "cuda/emulator/device.h"
#include "cuda/emulator/tensor.h"

namespace dehvf::cuda::ptx {

inline void ldmatrix_x1(uint32_t (&r)[1], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x1", where}, false, r, row);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x2", where}, false, r, row);
}
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x4", where}, false, r, row);
}
inline void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x1_trans", where}, true, r, row);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x2_trans", where}, true, r, row);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, Where where = Where::current()) {
  simt::load_matrices({"ldmatrix_x4_trans", where}, true, r, row);
}

}  // namespace dehvf::cuda::ptx
