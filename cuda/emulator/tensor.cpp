#include "cuda/emulator/tensor.h"

#include <bit>

#include "cuda/emulator/async.h"
#include "cuda/emulator/grid_state.h"

namespace dehvf::simt {
namespace {

using In = const unsigned char (*)[64];
using Out = unsigned char (*)[64];

struct MmaLane {
  float d[4];
  uint32_t a[4], b[2];
};

float bf16_widened(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

// The exponent moves by 112; of infinity and NaN it is all ones again.
float f16_widened(uint16_t bits) {
  const uint32_t moved = uint32_t(bits & 0x7fff) << 13, sign = uint32_t(bits & 0x8000) << 16;
  const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(moved) * 0x1p112f);
  return std::bit_cast<float>((moved >= 0x0f800000u ? moved | 0x7f800000u : finite) | sign);
}

// What all lanes give, as matrices. T is float or, on the way to it, 16 bits.
template <class T, int K>
struct Operands {
  T a[16][K], b[K][8];
};

MmaLane given(In in, unsigned lane) {
  MmaLane own;
  __builtin_memcpy(&own, in[lane], sizeof own);
  return own;
}

// d += a b in f32, in the order of k; its fragments are those of all shapes.
template <int K>
void multiply_add(const Operands<float, K>& m, In in, Out out) {
  float d[16][8];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const MmaLane own = given(in, lane);
    __builtin_memcpy(&d[lane / 4][lane % 4 * 2], own.d, 8);
    __builtin_memcpy(&d[lane / 4 + 8][lane % 4 * 2], own.d + 2, 8);
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < K; ++k)
      for (int j = 0; j < 8; ++j) d[i][j] += m.a[i][k] * m.b[k][j];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    __builtin_memcpy(out[lane], &d[lane / 4][lane % 4 * 2], 8);
    __builtin_memcpy(out[lane] + 8, &d[lane / 4 + 8][lane % 4 * 2], 8);
  }
}

// Two elements a register; all are widened at once, of which the compiler makes vectors.
template <float (*Widened)(uint16_t)>
void multiply_add_halves(In in, Out out) {
  Operands<uint16_t, 16> narrow;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    const MmaLane own = given(in, lane);
    for (unsigned r = 0; r < 4; ++r)
      __builtin_memcpy(&narrow.a[g + r % 2 * 8][2 * t + r / 2 * 8], &own.a[r], 4);
    for (unsigned r = 0; r < 2; ++r) {
      narrow.b[2 * t + 8 * r][g] = uint16_t(own.b[r]);
      narrow.b[2 * t + 8 * r + 1][g] = uint16_t(own.b[r] >> 16);
    }
  }
  Operands<float, 16> wide;
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; ++k) wide.a[i][k] = Widened(narrow.a[i][k]);
  for (int k = 0; k < 16; ++k)
    for (int j = 0; j < 8; ++j) wide.b[k][j] = Widened(narrow.b[k][j]);
  multiply_add(wide, in, out);
}

// Where element `half` of the register of `lane` lies in its matrix.
struct Position {
  unsigned row, column;
};
Position position(unsigned lane, unsigned half, bool transposed) {
  const unsigned outer = lane / 4, inner = 2 * (lane % 4) + half;
  return transposed ? Position{inner, outer} : Position{outer, inner};
}

template <int Matrices, bool Transposed>
void load(In in, Out out, uint32_t) {
  for (unsigned lane = 0; lane < kLanes; ++lane)
    for (unsigned i = 0; i < Matrices; ++i)
      for (unsigned half = 0; half < 2; ++half) {
        const auto [row, column] = position(lane, half, Transposed);
        __builtin_memcpy(out[lane] + 4 * i + 2 * half, in[8 * i + row] + 2 * column, 2);
      }
}

template <int Matrices, bool Transposed>
void store(In in, Out out, uint32_t) {
  for (unsigned lane = 0; lane < kLanes; ++lane)
    for (unsigned i = 0; i < Matrices; ++i)
      for (unsigned half = 0; half < 2; ++half) {
        const auto [row, column] = position(lane, half, Transposed);
        __builtin_memcpy(out[8 * i + row] + 2 * column, in[lane] + 4 * i + 2 * half, 2);
      }
}

Combine pick(int matrices, const Combine (&of)[3]) { return of[matrices / 2]; }  // 1, 2 or 4

void demand_whole_warp(const Site& site) {
  const Thread& thread = current();
  if (thread.warp->lanes != ~0u)
    fault(thread, concat(site, ": wanted a whole warp, but the block ends within it, ", thread));
}

}  // namespace

void mma_bf16(In in, Out out, uint32_t) { multiply_add_halves<bf16_widened>(in, out); }
void mma_f16(In in, Out out, uint32_t) { multiply_add_halves<f16_widened>(in, out); }

void mma_tf32(In in, Out out, uint32_t) {
  const auto narrowed = [](uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); };
  Operands<float, 8> m;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    const MmaLane own = given(in, lane);
    for (unsigned r = 0; r < 4; ++r) m.a[g + r % 2 * 8][t + r / 2 * 4] = narrowed(own.a[r]);
    for (unsigned r = 0; r < 2; ++r) m.b[t + 4 * r][g] = narrowed(own.b[r]);
  }
  multiply_add(m, in, out);
}

void multiply(const Site& site, Combine combine, float (&d)[4], const uint32_t (&a)[4],
              const uint32_t (&b)[2]) {
  demand_whole_warp(site);
  MmaLane in;
  __builtin_memcpy(in.d, d, sizeof in.d);
  __builtin_memcpy(in.a, a, sizeof in.a);
  __builtin_memcpy(in.b, b, sizeof in.b);
  exchange(site, ~0u, {&in, sizeof in, d, sizeof d}, combine);
}

bool gives_row(const Site& site, int matrices, const void* row) {
  demand_whole_warp(site);
  if (lane() >= 8 * unsigned(matrices)) return false;
  demand_shared(site, row, sizeof(MatrixRow), sizeof(MatrixRow));
  return true;
}

void to_registers(const Site& site, int matrices, bool transposed, const MatrixRow& row,
                  uint32_t* registers) {
  const Combine combine = transposed ? pick(matrices, {load<1, true>, load<2, true>, load<4, true>})
                                     : pick(matrices, {load<1, false>, load<2, false>, load<4, false>});
  exchange(site, ~0u, {&row, sizeof row, registers, 4 * size_t(matrices)}, combine);
}

void to_rows(const Site& site, int matrices, bool transposed, const uint32_t* registers, MatrixRow& row) {
  const Combine combine = transposed ? pick(matrices, {store<1, true>, store<2, true>, store<4, true>})
                                     : pick(matrices, {store<1, false>, store<2, false>, store<4, false>});
  exchange(site, ~0u, {registers, 4 * size_t(matrices), &row, sizeof row}, combine);
}

}  // namespace dehvf::simt
