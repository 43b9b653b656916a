#include "core/ops/add_each.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class AddEachKernels : public Parity {};

// The bits of as many single additions: many sums of all sizes and addresses, some of them several times,
// more than a launch takes.
TEST_P(AddEachKernels, GiveTheBitsOfSingleAdditions) {
  std::vector<Addition> here, there;
  const int64_t counts[] = {1, 3, 4, 257, 2048, 2049, 5000};
  for (int i = 0; i < 90; ++i) {
    const int64_t count = counts[size_t(i) % std::size(counts)];
    const int terms = i == 6 ? 500 : 1 + i % 4;
    const Tensor sum = drawn(count, i % 3, DType::f32, device(), random_key({1, uint64_t(i)}));
    const Tensor same = sum.to(kCpu).clone();
    for (int term = 0; term < terms; ++term) {
      const Tensor x =
          drawn(count, i % 2, DType::f32, device(), random_key({2, uint64_t(i), uint64_t(term)}));
      here.push_back({x, sum});
      there.push_back({x.to(kCpu), same});
    }
    std::swap(here[size_t(i)], here.back());  // terms of a sum need not stand side by side
    std::swap(there[size_t(i)], there.back());
  }
  add_each(here);
  for (const auto& [x, sum] : there) add_into(x, sum);
  for (size_t i = 0; i < here.size(); ++i)
    EXPECT_EQ(std::memcmp(here[i].sum.to(kCpu).raw(), there[i].sum.raw(), there[i].sum.bytes()), 0) << i;
}

TEST_P(AddEachKernels, WriteNothingBehindASum) {
  for (int64_t count : {1, 2047, 4099}) {
    const Tensor whole = output(count, 1, DType::f32), sum = whole.slice(1, 1 + count);
    const Tensor x = drawn(count, 0, DType::f32, device(), 7);
    const Addition twice[] = {{x, sum}, {x, sum}};
    add_each(twice);
    expect_close(sum, add(exact(x), exact(x)), {}, "add_each");
    expect_untouched_behind(whole, 1 + count);
  }
}

TEST_P(AddEachKernels, TakeAnyDtypes) {
  for (DType sums : kKernelDtypes)
    for (DType terms : kKernelDtypes) {
      const Tensor sum = drawn(300, 0, sums, device(), 8), x = drawn(300, 1, terms, device(), 9);
      const Tensor want = add(exact(sum), exact(x));
      const Addition one[] = {{x, sum}};
      add_each(one);
      expect_close(sum, want, {.magnitude = 12}, "add_each");
    }
  add_each({});
}

INSTANTIATE_TEST_SUITE_P(Places, AddEachKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
