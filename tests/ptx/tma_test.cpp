// Bulk copies by the PTX manual, "Tensor swizzling modes" and "cp.async.bulk.tensor".
#include "core/error.h"
#include "cuda/tensor_tiles.h"
#include "ptx/hopper_probes.h"
#include "support/message.h"

namespace dehvf {
namespace {

constexpr int kRows = 37, kColumns = 44;

class PtxTma : public HopperProbes {};

uint32_t element(const Registers& matrix, int row, int column) {
  const bool inside = row >= 0 && row < kRows && column >= 0 && column < kColumns;
  return inside ? matrix[size_t(row * kColumns + column)] : 0;
}

// Where the 16-byte piece `p` of row `r` lies in its row.
int place_of(int pieces, int r, int p) {
  switch (pieces) {
    case 8:
      return p ^ r % 8;
    case 4:
      return p ^ r / 2 % 4;
    default:
      return p ^ r / 4 % 2;
  }
}

void expect_loaded(const Registers& out, const Registers& in, int width, bool swizzled) {
  const int corners[4][2] = {{4, 3}, {-4, -5}, {28, 30}, {44, 0}};
  for (int box = 0; box < 4; ++box)
    for (int r = 0; r < 16; ++r)
      for (int c = 0; c < width; ++c) {
        const int piece = swizzled ? place_of(width / 4, r, c / 4) : c / 4;
        EXPECT_EQ(out[size_t((box * 16 + r) * width + piece * 4 + c % 4)],
                  element(in, corners[box][1] + r, corners[box][0] + c))
            << "box " << box << ", row " << r << ", word " << c;
      }
}

TEST_P(PtxTma, LoadsBoxesWithEverySwizzle) {
  const Registers in = random_registers(52 * 32, 1);
  expect_loaded(after("tma_load_none", in, 16), in, 8, false);
  expect_loaded(after("tma_load_b32", in, 16), in, 8, true);
  expect_loaded(after("tma_load_b64", in, 32), in, 16, true);
  expect_loaded(after("tma_load_b128", in, 64), in, 32, true);
}

TEST_P(PtxTma, StoresWhatIsInsideOfTheTensor) {
  const Registers in = random_registers(512, 2);
  const Registers plain = after("tma_store_none", in, 52), swizzled = after("tma_store_b128", in, 52);
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) {
      const int y = r - 30, x = c - 20;
      const bool stored = y >= 0 && x >= 0;
      EXPECT_EQ(plain[size_t(r * kColumns + c)], stored ? in[size_t(y * 32 + x)] : ~0u) << r << " " << c;
      EXPECT_EQ(swizzled[size_t(r * kColumns + c)],
                stored ? in[size_t(y * 32 + place_of(8, y, x / 4) * 4 + x % 4)] : ~0u)
          << r << " " << c;
    }
  EXPECT_EQ(plain[kRows * kColumns], ~0u);
}

// The tensor is [depth][6][7][12], the box [.][3][2][8] at [2][5][-1][8].
void expect_there_and_back(const Registers& out, const Registers& in, int first, int last) {
  size_t at = 0;
  Registers want(96 + 2520, ~0u);
  for (int w = first; w < last; ++w)
    for (int z = 5; z < 8; ++z)
      for (int y = -1; y < 1; ++y)
        for (int x = 8; x < 16; ++x, ++at) {
          const bool inside = z < 6 && y >= 0 && x < 12;
          const size_t from = inside ? size_t(((w * 6 + z) * 7 + y) * 12 + x) : 0;
          want[at] = inside ? in[from] : 0;
          if (inside) want[96 + from] = in[from];
        }
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(out[i], want[i]) << i;
}

TEST_P(PtxTma, ThreeAndFourAxes) {
  const Registers in = random_registers(79 * 32, 3);
  expect_there_and_back(after("tma_3d", in, 82), in, 0, 1);
  expect_there_and_back(after("tma_4d", in, 82), in, 2, 4);
}

TEST_P(PtxTma, Multicast) {
  const Registers in = random_registers(128, 4), out = after("tma_load_multicast", in, 8);
  for (size_t i = 0; i < 256; ++i) EXPECT_EQ(out[i], in[i % 128]) << i;
}

TEST_P(PtxTma, BytesInARow) {
  const Registers in = random_registers(64, 5), out = after("bulk_copy", in, 2);
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(out[16 + i], in[8 + i]);
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(out[i], in[40 + i]);
}

INSTANTIATE_TEST_SUITE_P(Places, PtxTma, kPtxPlaces, place_name);

TEST(TensorTiles, RefusesWhatTmaCannotDo) {
  using cuda::Swizzle;
  using cuda::TileAxis;
  const auto refused = [](DType dtype, Swizzle swizzle, std::vector<TileAxis> axes, uintptr_t data = 4096) {
    return message_of<ShapeError>(
        [&] { cuda::check_tiles(reinterpret_cast<const void*>(data), dtype, swizzle, axes); });
  };
  EXPECT_EQ(refused(DType::bf16, Swizzle::b128, {{100, 1, 64}, {7, 104, 256}}), "(no exception)");
  EXPECT_EQ(refused(DType::bf16, Swizzle::b128, {{100, 1, 64}, {7, 100, 64}}),
            "tensor map: wanted a stride of a multiple of 16 bytes below 2^40 of axis 1, found 200");
  EXPECT_EQ(refused(DType::bf16, Swizzle::b128, {{100, 1, 64}, {7, 104, 64}}, 4104),
            "tensor map: wanted data at a multiple of 16 bytes");
  EXPECT_EQ(refused(DType::bf16, Swizzle::b128, {{100, 1, 128}, {7, 104, 64}}),
            "tensor map: wanted rows of boxes of 128 bytes, as the swizzle, found 256");
  EXPECT_EQ(refused(DType::f32, Swizzle::none, {{100, 1, 8}, {7, 104, 257}}),
            "tensor map: wanted boxes of 1 to 256 elements along axis 1, found 257");
  EXPECT_EQ(refused(DType::f32, Swizzle::none, {{100, 1, 6}, {7, 104, 1}}),
            "tensor map: wanted rows of boxes of a multiple of 16 bytes, found 24");
  EXPECT_EQ(refused(DType::f32, Swizzle::none, {{100, 1, 8}, {0, 104, 1}}),
            "tensor map: wanted 1 to 2^32 elements along axis 1, found 0");
  EXPECT_EQ(refused(DType::f32, Swizzle::none, {{100, 2, 8}, {5, 104, 1}}),
            "tensor map: wanted stride 1 of axis 0, found 2");
  EXPECT_EQ(refused(DType::f32, Swizzle::none, {{100, 1, 8}}), "tensor map: wanted 2 to 4 axes, found 1");
}

}  // namespace
}  // namespace dehvf
