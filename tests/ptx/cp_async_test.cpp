// Copies by the PTX manual, "Data movement and conversion instructions: cp.async", with cp-size, src-size and
// groups.
#include <cstring>

#include "ptx/probes.h"

namespace dehvf {
namespace {

class PtxCpAsync : public PtxProbes {};

TEST_P(PtxCpAsync, FillsWithZerosWhatIsNotCopied) {
  for (int bytes : {4, 8, 16}) {
    Registers in = random_registers(32 * 8, uint64_t(bytes));
    for (int lane = 0; lane < 32; ++lane) in[size_t(lane * 8 + 4)] = uint32_t(lane % (bytes + 1));
    const Registers out = after("cp_async_" + std::to_string(bytes), in, 4);
    for (int lane = 0; lane < 32; ++lane) {
      unsigned char want[16], *const begin = want;
      std::memset(want, 0xff, sizeof want);
      std::memset(begin, 0, size_t(bytes));
      std::memcpy(begin, &in[size_t(lane * 8)], in[size_t(lane * 8 + 4)]);
      EXPECT_EQ(std::memcmp(&out[size_t(lane * 4)], want, sizeof want), 0) << bytes << ", lane " << lane;
    }
  }
}

TEST_P(PtxCpAsync, GroupsArriveInTheirOrder) {
  const Registers in = random_registers(32 * 4, 1), out = after("cp_async_groups", in, 4);
  for (size_t lane = 0; lane < 32; ++lane)
    for (size_t i = 0; i < 4; ++i)
      EXPECT_EQ(out[lane * 4 + i], in[(lane + 1) % 32 * 4 + i]) << lane << " " << i;
}

INSTANTIATE_TEST_SUITE_P(Places, PtxCpAsync, kPtxPlaces, place_name);

}  // namespace
}  // namespace dehvf
