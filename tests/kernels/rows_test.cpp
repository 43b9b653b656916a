#include "core/ops/rows.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class RowKernels : public Parity {};

Tensor indices(int64_t count, int64_t limit, uint64_t key) {
  Random random(key);
  Tensor index({count}, DType::i32);
  for (int32_t& i : index.span<int32_t>()) i = int32_t(random.below(limit));
  return index;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(kCpu), y = b.to(kCpu);
  return x.shape() == y.shape() && x.dtype() == y.dtype() && std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

// Bytes of every unit from 1 to 16, beside and off their alignment.
TEST_P(RowKernels, Gather) {
  for (DType dtype : {DType::f32, DType::bf16, DType::f16})
    for (int64_t width : {1, 3, 10, 64, 1100})
      for (int64_t shift : {0, 1}) {
        const int64_t rows = 37, picked = 21;
        const Tensor x = drawn(rows * width, shift, dtype, device(), random_key({61, uint64_t(width)}))
                             .reshape({rows, width});
        const Tensor index = indices(picked, rows, 62);
        const Tensor whole = output(picked * width, shift, dtype);
        const Tensor y = whole.slice(shift, shift + picked * width).reshape({picked, width});
        run<GatherRows>(device().kind, x, index.to(device()), y);
        EXPECT_TRUE(same_bytes(y, gather_rows(x.to(kCpu), index))) << dtype << ' ' << width << ' ' << shift;
        expect_untouched_behind(whole, shift + picked * width);
      }
  const Tensor bytes({3, 5}, DType::u8);
  for (int i = 0; i < 15; ++i) bytes.data<uint8_t>()[i] = uint8_t(i * 17);
  const Tensor index = tensor_of(std::vector<int32_t>{2, 0, 2, 1});
  EXPECT_TRUE(same_bytes(gather_rows(bytes.to(device()), index.to(device())), gather_rows(bytes, index)));
}

TEST_P(RowKernels, CopyColumns) {
  for (DType dtype : {DType::f32, DType::bf16})
    for (int64_t begin : {0, 1, 8})
      for (int64_t count : {1, 24, 517}) {
        const int64_t rows = 11, from_width = 532, to_width = 640, to_begin = begin * 2;
        const Tensor from = random_normal({rows, from_width}, 1, 63, dtype);
        const Tensor to = random_normal({rows, to_width}, 1, 64, dtype),
                     there = to.clone().to(device()).clone();
        copy_columns(from.to(device()), begin, there, to_begin, count);
        const Tensor want = to.clone();
        copy_columns(from, begin, want, to_begin, count);
        EXPECT_TRUE(same_bytes(there, want)) << dtype << ' ' << begin << ' ' << count;
      }
}

struct Case {
  int64_t entries, count, width;
};

TEST_P(RowKernels, ScatterAdd) {
  for (DType dtype : kKernelDtypes)
    for (const auto [entries, count, width] : {Case{1, 1, 1}, Case{5, 0, 8}, Case{40, 23, 7},
                                               Case{3, 1031, 16}, Case{30, 300, 264}, Case{2, 90, 2056}})
      for (int64_t shift : {0, 1}) {
        const Tensor rows = drawn(count * width, shift, dtype, device(), random_key({65, uint64_t(count)}), 1)
                                .reshape({count, width});
        const Tensor index = indices(count, entries, random_key({66, uint64_t(count)}));
        const Tensor whole = output(entries * width, 0, DType::f32);
        const Tensor sum = whole.slice(0, entries * width).reshape({entries, width});
        run<ScatterAddRows>(device().kind, rows, index.to(device()), sum);
        expect_close(sum, scatter_add_rows(exact(rows), index, entries, DType::f64),
                     {.additions = double(count) + 1, .magnitude = std::sqrt(double(count)) + 1},
                     "scatter_add_rows");
        expect_untouched_behind(whole, entries * width);
      }
}

// Where the places are not cut into parts a sum is that of the CPU, bit for bit: the order is the same.
TEST_P(RowKernels, ScatterAddInTheOrderOfThePlaces) {
  const Tensor rows = random_normal({611, 33}, 1, 67), index = indices(611, 100, 68);
  const Tensor want = scatter_add_rows(rows, index, 100, DType::f32);
  EXPECT_TRUE(same_bytes(scatter_add_rows(rows.to(device()), index.to(device()), 100, DType::f32), want));
}

TEST_P(RowKernels, TakeNothing) {
  const Tensor x({4, 3}, DType::f32, device()), none({0}, DType::i32, device());
  EXPECT_EQ(gather_rows(x, none).count(), 0);
  EXPECT_EQ(gather_rows(Tensor({4, 0}, DType::f32, device()), zeros({2}, DType::i32, device())).count(), 0);
  EXPECT_EQ(slice_columns(x, 1, 1).count(), 0);
  EXPECT_EQ(scatter_add_rows(Tensor({0, 3}, DType::f32, device()), none, 0, DType::f32).count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, RowKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
