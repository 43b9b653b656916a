#include "core/ops/group_mix.h"

#include <cstring>

#include "support/parity.h"

namespace dehvf {
namespace {

class GroupMixKernels : public Parity {
 protected:
  struct Case {
    int64_t images, queries, group, levels, patches, rank;
  };
  // Planes of 1, a prime, above a block, and whole packs.
  static constexpr Case kCases[] = {{1, 1, 1, 1, 1, 1},
                                    {2, 3, 2, 5, 17, 1},
                                    {1, 4, 3, 6, 3, 611},
                                    {2, 5, 4, 9, 16, 24},
                                    {1, 2, 2, 4, 33, 128}};

  static Tensor first_levels(const Case& c) {
    std::vector<int32_t> first;
    for (int64_t q = 0; q < c.queries; ++q) first.push_back(int32_t(q * 7 % (c.levels - c.group + 1)));
    return tensor_of(first);
  }
  Tensor drawn_as(const Shape& shape, int64_t shift, DType dtype, uint64_t key) const {
    return drawn(shape.count(), shift, dtype, device(), key, 1).reshape(shape);
  }
};

TEST_P(GroupMixKernels, Forward) {
  for (DType dtype : kKernelDtypes)
    for (const Case& c : kCases)
      for (int64_t shift : {0, 1}) {
        const Tensor weights = drawn_as({c.images, c.queries, c.group}, 1, dtype, 41);
        const Tensor levels = drawn_as({c.images, c.levels, c.patches, c.rank}, shift, dtype, 42);
        const Shape shape{c.queries, c.images, c.patches, c.rank};
        const Tensor whole = output(shape.count(), shift, dtype), first = first_levels(c);
        const Tensor mixed = whole.slice(shift, shift + shape.count()).reshape(shape);
        run<GroupMix>(device().kind, weights, levels, first.to(device()), mixed);
        expect_close(mixed, group_mix(exact(weights), exact(levels), first),
                     {.additions = double(c.group), .magnitude = double(c.group)}, "group_mix");
        expect_untouched_behind(whole, shift + shape.count());
      }
}

TEST_P(GroupMixKernels, Backward) {
  for (DType dtype : kKernelDtypes)
    for (const Case& c : kCases)
      for (int64_t shift : {0, 1}) {
        const Tensor weights = drawn_as({c.images, c.queries, c.group}, 0, dtype, 43);
        const Tensor levels = drawn_as({c.images, c.levels, c.patches, c.rank}, 0, dtype, 44);
        const Tensor d = drawn_as({c.queries, c.images, c.patches, c.rank}, shift, dtype, 45);
        const Tensor first = first_levels(c);
        const Tensor want_weights(weights.shape(), DType::f64), want_levels(levels.shape(), DType::f64);
        group_mix_backward(exact(weights), exact(levels), first, exact(d), want_weights, want_levels);

        const int64_t count = levels.count(), few = weights.count();
        const Tensor whole = output(count, shift, DType::f32), small = output(few, shift, DType::f32);
        const Tensor dlevels = whole.slice(shift, shift + count).reshape(levels.shape());
        const Tensor dweights = small.slice(shift, shift + few).reshape(weights.shape());
        group_mix_backward(weights, levels, first.to(device()), d, dweights, {});
        group_mix_backward(weights, levels, first.to(device()), d, {}, dlevels);
        expect_untouched_behind(whole, shift + count);
        expect_untouched_behind(small, shift + few);
        const double plane = double(c.patches * c.rank);
        expect_close(dweights, want_weights, {.additions = plane, .magnitude = std::sqrt(plane)}, "dweights");
        expect_close(dlevels, want_levels, {.additions = double(c.queries), .magnitude = double(c.queries)},
                     "dlevels");
      }
}

TEST_P(GroupMixKernels, RepeatBitForBitAndPassNanOn) {
  const Tensor weights = random_normal({1, 2, 2}, 1, 46).to(device());
  const Tensor first = tensor_of(std::vector<int32_t>{0, 1}).to(device());
  const Tensor levels = random_normal({1, 3, 41, 3}, 1, 47);
  levels.data<float>()[5] = NAN;  // of the first level, which the first query alone reads
  const Tensor a = group_mix(weights, levels.to(device()), first).to(kCpu);
  const Tensor b = group_mix(weights, levels.to(device()), first).to(kCpu);
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
  for (int64_t i = 0; i < a.count(); ++i) EXPECT_EQ(std::isnan(a.data<float>()[i]), i == 5);
}

INSTANTIATE_TEST_SUITE_P(Places, GroupMixKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
