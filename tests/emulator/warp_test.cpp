// Every function of a warp and every atomic against plain loops over random values.
#include <algorithm>
#include <array>
#include <random>

#include <gtest/gtest.h>

#include "core/dtype.h"
#include "cuda/launch.cuh"

namespace dehvf::cuda {
namespace {

using Values = std::array<int, 32>;

Values random_values(uint64_t seed, int low = -1000000, int high = 1000000) {
  std::mt19937_64 random(seed);
  Values values;
  for (int& v : values) v = std::uniform_int_distribution(low, high)(random);
  return values;
}

// What body(lane) returns in each of the first `lanes` threads of a warp.
template <class Body>
auto in_warp(const Body& body, unsigned lanes = 32) {
  std::array<decltype(body(0)), 32> out{};
  simt::run_grid({"probe", std::source_location::current(), 1, lanes, 0},
                 [&] { out[threadIdx.x] = body(int(threadIdx.x)); });
  return out;
}

TEST(EmulatedWarp, ShufflesWithinTheirWidth) {
  const Values v = random_values(1);
  for (int width : {1, 2, 4, 8, 16, 32})
    for (int by : {0, 1, 3, 7, 16, 31, 40}) {
      const auto index = in_warp([&](int i) { return __shfl_sync(~0u, v[i], i + by, width); });
      const auto up = in_warp([&](int i) { return __shfl_up_sync(~0u, v[i], by, width); });
      const auto down = in_warp([&](int i) { return __shfl_down_sync(~0u, v[i], by, width); });
      const auto crossed = in_warp([&](int i) { return __shfl_xor_sync(~0u, v[i], by % 32, width); });
      for (int i = 0; i < 32; ++i) {
        const int first = i / width * width, end = first + width;
        EXPECT_EQ(index[i], v[first + (i + by) % width]);
        EXPECT_EQ(up[i], v[i - by >= first ? i - by : i]);
        EXPECT_EQ(down[i], v[i + by < end ? i + by : i]);
        EXPECT_EQ(crossed[i], v[(i ^ by % 32) < end ? i ^ by % 32 : i]) << i << " " << by << " " << width;
      }
    }
}

TEST(EmulatedWarp, ShufflesOtherTypes) {
  const auto wide = in_warp([](int i) { return __shfl_xor_sync(~0u, 0.1 * i, 5); });
  const auto narrow = in_warp([](int i) { return float(__shfl_xor_sync(~0u, bf16(float(i)), 6)); });
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(wide[i], 0.1 * (i ^ 5));
    EXPECT_EQ(narrow[i], float(i ^ 6));
  }
}

TEST(EmulatedWarp, TakesNanFromLanesThatAreNotThere) {
  const unsigned odd = 0xaaaaaaaau;
  const auto got = in_warp([&](int i) {
    if (i % 2 == 0) return 0.0f;
    return __shfl_sync(odd, float(i), i % 4 == 1 ? i - 1 : 5);
  });
  for (int i = 0; i < 32; ++i) {
    if (i % 4 == 1) EXPECT_TRUE(std::isnan(got[i]));
    if (i % 4 == 3) EXPECT_EQ(got[i], 5);
  }
  const auto partial = in_warp([](int i) { return __shfl_down_sync(~0u, float(i), 4); }, 7);
  EXPECT_EQ(partial[2], 6);
  EXPECT_TRUE(std::isnan(partial[3]));
}

TEST(EmulatedWarp, VotesOfAnyMask) {
  std::mt19937 random(2);
  for (int round = 0; round < 50; ++round) {
    const unsigned mask = random() | 1, votes = round == 0 ? ~0u : round == 1 ? 0 : random() & random();
    const auto ballot =
        in_warp([&](int i) { return mask >> i & 1 ? __ballot_sync(mask, votes >> i & 1) : 0; });
    const auto any = in_warp([&](int i) { return mask >> i & 1 ? __any_sync(mask, votes >> i & 1) : 7; });
    const auto all = in_warp([&](int i) { return mask >> i & 1 ? __all_sync(mask, votes >> i & 1) : 7; });
    for (int i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      EXPECT_EQ(ballot[i], votes & mask);
      EXPECT_EQ(any[i], (votes & mask) != 0);
      EXPECT_EQ(all[i], (votes & mask) == mask);
    }
  }
}

TEST(EmulatedWarp, FindsEqualValues) {
  const Values v = random_values(3, 0, 5);
  const unsigned mask = 0xfff0f0ffu;
  const auto any = in_warp([&](int i) { return mask >> i & 1 ? __match_any_sync(mask, v[i]) : 0; });
  for (int i = 0; i < 32; ++i) {
    unsigned want = 0;
    for (int j = 0; j < 32; ++j) want |= unsigned(mask >> i & mask >> j & 1 && v[i] == v[j]) << j;
    EXPECT_EQ(any[i], want);
  }
  for (int other : {-1, 9}) {
    int same = 2;
    const auto all = in_warp([&](int i) {
      int mine = 2;
      const unsigned lanes = __match_all_sync(~0u, i == other ? 1.5f : 2.5f, &mine);
      if (i == 3) same = mine;
      return lanes;
    });
    EXPECT_EQ(all[3], other < 0 ? ~0u : 0u);
    EXPECT_EQ(same, other < 0);
  }
}

TEST(EmulatedWarp, ReducesIntegers) {
  const Values v = random_values(4, -2000000000, 2000000000);
  const unsigned mask = 0x8f0ff173u;
  const auto reduced = [&](auto collective, auto fn) {
    const auto got = in_warp([&](int i) { return mask >> i & 1 ? collective(v[i]) : 0u; });
    unsigned want = unsigned(v[0]);
    for (int i = 1; i < 32; ++i)
      if (mask >> i & 1) want = unsigned(fn(want, unsigned(v[i])));
    for (int i = 0; i < 32; ++i)
      if (mask >> i & 1) EXPECT_EQ(got[i], want);
  };
  reduced([](int x) { return unsigned(__reduce_add_sync(0x8f0ff173u, x)); }, std::plus<unsigned>());
  reduced([](int x) { return __reduce_and_sync(0x8f0ff173u, unsigned(x)); }, std::bit_and<unsigned>());
  reduced([](int x) { return __reduce_or_sync(0x8f0ff173u, unsigned(x)); }, std::bit_or<unsigned>());
  reduced([](int x) { return __reduce_xor_sync(0x8f0ff173u, unsigned(x)); }, std::bit_xor<unsigned>());
  const auto smaller = [](auto type) {
    return [type](unsigned a, unsigned b) { return decltype(type)(a) < decltype(type)(b) ? a : b; };
  };
  const auto larger = [](auto type) {
    return [type](unsigned a, unsigned b) { return decltype(type)(a) < decltype(type)(b) ? b : a; };
  };
  reduced([](int x) { return unsigned(__reduce_min_sync(0x8f0ff173u, x)); }, smaller(int()));
  reduced([](int x) { return unsigned(__reduce_max_sync(0x8f0ff173u, x)); }, larger(int()));
  reduced([](int x) { return __reduce_min_sync(0x8f0ff173u, unsigned(x)); }, smaller(unsigned()));
  reduced([](int x) { return __reduce_max_sync(0x8f0ff173u, unsigned(x)); }, larger(unsigned()));
}

// Halves of a warp that go their own ways, and a barrier of the warp between writing and reading.
TEST(EmulatedWarp, HalvesMeetApart) {
  const auto sums = in_warp([](int i) {
    int sum = i;
    if (i < 16)
      for (int by = 1; by < 16; by *= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, by);
    else
      for (int by = 1; by < 4; by *= 2) sum += __shfl_xor_sync(0xffff0000u, sum, by);
    __syncwarp();
    return sum;
  });
  EXPECT_EQ(sums[7], 120);
  EXPECT_EQ(sums[18], 16 + 17 + 18 + 19);
}

template <class T>
void expect_atomics() {
  T sum = 5, difference = 5, least = 100, most = 0, both = T(~T(0)), either = 0, odd = 0, last = 0;
  std::array<T, 96> before{};
  simt::run_grid({"atomics", std::source_location::current(), 3, 32, 0}, [&] {
    const T i = T(blockIdx.x * 32 + threadIdx.x);
    before[size_t(i)] = atomicAdd(&sum, 1);
    atomicSub(&difference, i);
    atomicMin(&least, T(96 - i));
    atomicMax(&most, i);
    atomicAnd(&both, T(~(T(1) << (i % 31))));
    atomicOr(&either, T(T(1) << (i % 31)));
    atomicXor(&odd, i);
    atomicExch(&last, T(i + 1));
  });
  T crossed = 0;
  for (T i = 0; i < 96; ++i) crossed ^= i;
  std::ranges::sort(before);
  for (size_t i = 0; i < 96; ++i) EXPECT_EQ(before[i], T(i + 5));
  EXPECT_EQ(sum, T(101));
  EXPECT_EQ(difference, T(T(5) - T(95 * 96 / 2)));
  EXPECT_EQ(least, T(1));
  EXPECT_EQ(most, T(95));
  EXPECT_EQ(both, T(~T(0x7fffffff)));
  EXPECT_EQ(either, T(0x7fffffff));
  EXPECT_EQ(odd, crossed);
  EXPECT_TRUE(last >= 1 && last <= 96);
}

TEST(EmulatedAtomics, OfEveryWidth) {
  expect_atomics<int>();
  expect_atomics<unsigned>();
  expect_atomics<unsigned long long>();
}

// A lock that a thread can only take when another lets it go.
TEST(EmulatedAtomics, AWaitingLoopLetsOthersGoOn) {
  int lock = 0, inside = 0;
  simt::run_grid({"lock", std::source_location::current(), 6, 40, 0}, [&] {
    while (atomicCAS(&lock, 0, 1) != 0) {
    }
    __threadfence();
    const int found = inside;
    __syncwarp(1u << threadIdx.x % 32);
    inside = found + 1;
    __threadfence();
    atomicExch(&lock, 0);
  });
  EXPECT_EQ(inside, 240);
}

template <class T>
concept Addable = requires(T* x) {
  atomicAdd(x, T(1));
};
static_assert(Addable<int> && !Addable<float> && !Addable<double> && !Addable<bf16>);

}  // namespace
}  // namespace dehvf::cuda
