#include "cuda/emulator/warp.h"

namespace dehvf::simt {

void shuffle(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes) {
  constexpr uint64_t kNothing = ~uint64_t(0);
  for (unsigned i = 0; i < 32; ++i) {
    if (!(lanes >> i & 1)) continue;
    Shuffled own, from;
    std::memcpy(&own, in[i], sizeof own);
    std::memcpy(&from, in[own.source], sizeof from);
    std::memcpy(out[i], lanes >> own.source & 1 ? &from.bits : &kNothing, sizeof kNothing);
  }
}

void ballot(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes) {
  Ballot result{0, lanes};
  for (unsigned i = 0; i < 32; ++i)
    if (lanes >> i & 1) result.votes |= uint32_t(in[i][0] != 0) << i;
  for (unsigned i = 0; i < 32; ++i) std::memcpy(out[i], &result, sizeof result);
}

void match(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes) {
  for (unsigned i = 0; i < 32; ++i) {
    Ballot equal{0, lanes};
    for (unsigned j = 0; j < 32; ++j)
      if (lanes >> j & 1) equal.votes |= uint32_t(std::memcmp(in[i], in[j], sizeof(uint64_t)) == 0) << j;
    std::memcpy(out[i], &equal, sizeof equal);
  }
}

unsigned segment(const Site& site, int width) {
  demand(width > 0 && width <= 32 && std::has_single_bit(unsigned(width)), site,
         "wanted a width of 1, 2, 4, 8, 16 or 32");
  return lane() & ~unsigned(width - 1);
}

}  // namespace dehvf::simt
