// Products of small matrices, and their loads and stores, by a whole warp.
#pragma once

#include <cstring>

#include "cuda/emulator/meet.h"

namespace dehvf::simt {

// How the lanes' registers make a product; the fragments stand in cuda/ptx/mma.cuh.
void mma_bf16(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void mma_f16(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void mma_tf32(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void multiply(const Site& site, Combine combine, float (&d)[4], const uint32_t (&a)[4],
              const uint32_t (&b)[2]);

struct MatrixRow {
  uint16_t elements[8];
};
/// Rows of matrix i from lanes 8i to 8i + 7, to registers, and back.
void to_registers(const Site& site, int matrices, bool transposed, const MatrixRow& row, uint32_t* registers);
void to_rows(const Site& site, int matrices, bool transposed, const uint32_t* registers, MatrixRow& row);
bool gives_row(const Site& site, int matrices, const void* row);  // the running lane; checks its address

// Shared memory is read and written here, by the lane whose row it is, where the race detector sees it.
template <int Matrices>
void load_matrices(const Site& site, bool transposed, uint32_t (&registers)[Matrices], const void* row) {
  MatrixRow taken{};
  if (gives_row(site, Matrices, row)) std::memcpy(&taken, row, sizeof taken);
  to_registers(site, Matrices, transposed, taken, registers);
}

template <int Matrices>
void store_matrices(const Site& site, bool transposed, const uint32_t (&registers)[Matrices], void* row) {
  MatrixRow given{};
  const bool gives = gives_row(site, Matrices, row);
  to_rows(site, Matrices, transposed, registers, given);
  if (gives) std::memcpy(row, &given, sizeof given);
}

}  // namespace dehvf::simt
