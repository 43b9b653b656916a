#include "core/parallel.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "core/ops/dropout.h"
#include "core/ops/group_mix.h"
#include "core/ops/matmul.h"
#include "core/ops/norm.h"
#include "core/ops/reduce.h"
#include "core/ops/visual_rows.h"
#include "core/random.h"

namespace dehvf {
namespace {

class Parallel : public testing::Test {
 protected:
  ~Parallel() override { set_cpu_threads(2); }  // as main() sets it
};

TEST_F(Parallel, EveryTaskRunsOnce) {
  for (int threads : {1, 2, 5}) {
    set_cpu_threads(threads);
    EXPECT_EQ(cpu_threads(), threads);
    for (int64_t tasks : {0, 1, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(tasks));
      parallel_for(tasks, [&](int64_t i) { ++runs[size_t(i)]; });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST_F(Parallel, RangesCoverAllAndDependOnTheGrainAlone) {
  for (int threads : {1, 3}) {
    set_cpu_threads(threads);
    std::vector<std::pair<int64_t, int64_t>> pieces(4);
    parallel_ranges(31, 8, [&](int64_t begin, int64_t end) { pieces.at(size_t(begin / 8)) = {begin, end}; });
    EXPECT_EQ(pieces, (std::vector<std::pair<int64_t, int64_t>>{{0, 8}, {8, 16}, {16, 24}, {24, 31}}));
  }
  parallel_ranges(0, 8, [](int64_t, int64_t) { FAIL() << "nothing to do"; });
}

TEST_F(Parallel, TheFirstExceptionByTaskNumberArrives) {
  for (int threads : {1, 2, 4}) {
    set_cpu_threads(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::atomic<int> ran{0};
      try {
        parallel_for(50, [&](int64_t i) {
          ++ran;
          if (i % 7 == 3) throw std::runtime_error(std::to_string(i));
        });
        FAIL() << "nothing thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "3");
      }
      EXPECT_EQ(ran.load(), 50);  // the others finish: their results may be shared
    }
  }
}

TEST_F(Parallel, NestedAndConcurrentCallsRunInLine) {
  std::atomic<int> inner{0};
  parallel_for(4, [&](int64_t) { parallel_for(5, [&](int64_t) { ++inner; }); });
  EXPECT_EQ(inner.load(), 20);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int k = 0; k < 50; ++k) parallel_for(9, [&](int64_t) { ++total; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(total.load(), 4 * 50 * 9);
}

// Bits of `op` with 1, 2 and 3 threads.
void expect_same_bits(const std::function<Tensor()>& op, const std::string& what) {
  set_cpu_threads(1);
  const Tensor one = op();
  for (int threads : {2, 3}) {
    set_cpu_threads(threads);
    const Tensor several = op();
    EXPECT_EQ(std::memcmp(one.raw(), several.raw(), one.bytes()), 0) << what << ", " << threads << " threads";
  }
}

TEST_F(Parallel, ProductsDoNotDependOnTheNumberOfThreads) {
  struct Sizes {
    int64_t m, n, k;
  };
  for (const auto& [m, n, k] : {Sizes{211, 307, 523}, Sizes{1, 4099, 331}, Sizes{1031, 67, 257}})
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true}) {
        const Tensor a = random_normal(transpose_a ? Shape{k, m} : Shape{m, k}, 1, 1),
                     b = random_normal(transpose_b ? Shape{n, k} : Shape{k, n}, 1, 2);
        expect_same_bits([&] { return matmul(a, b, {transpose_a, transpose_b}); }, concat(m, "x", n, "x", k));
      }
  const Tensor a = random_normal({13, 67, 129}, 1, 3), b = random_normal({13, 129, 71}, 1, 4);
  expect_same_bits([&] { return matmul(a, b); }, "batched");
}

TEST_F(Parallel, ReductionsDoNotDependOnTheNumberOfThreads) {
  const Tensor x = random_normal({307, 1031}, 1, 1), weight = random_normal({1031}, 1, 2);
  expect_same_bits([&] { return sum_all(x); }, "sum_all");
  expect_same_bits([&] { return sum_rows(x, DType::f32); }, "sum_rows");
  expect_same_bits([&] { return rms_norm(x, weight, 1e-6).y; }, "rms_norm");
  expect_same_bits([&] { return rms_norm_weight_grad(x, rms_norm(x, weight, 1e-6).inv_rms, x); },
                   "rms_norm_weight_grad");
}

TEST_F(Parallel, FusionOpsDoNotDependOnTheNumberOfThreads) {
  const Tensor weights = random_normal({3, 11, 4}, 1, 1), levels = random_normal({3, 9, 53, 67}, 1, 2);
  std::vector<int32_t> first{0, 5, 1, 1, 2, 3, 4, 5, 0, 2, 4};
  expect_same_bits([&] { return group_mix(weights, levels, tensor_of(first)); }, "group_mix");
  const Tensor dmixed = random_normal({11, 3, 53, 67}, 1, 3);
  expect_same_bits(
      [&] {
        Tensor dweights(weights.shape(), DType::f32);
        group_mix_backward(weights, levels, tensor_of(first), dmixed, dweights, {});
        return dweights;
      },
      "group_mix dweights");

  const VisualRowsTensors rows{random_normal({131, 97}, 1, 1),    random_normal({131, 97}, 1, 2),
                               random_normal({2, 101, 17}, 1, 3), random_normal({2, 101, 17}, 1, 4),
                               random_normal({97, 17}, 1, 5),     random_normal({97}, 1, 6)};
  const VisualRowsPlan plan{tensor_of(std::vector<int32_t>{0, 90, 100, 300}),
                            tensor_of(std::vector<int32_t>{1, -1, 1}),
                            0.5,
                            1,
                            Activation::silu,
                            {0.1, 1, 2, 3, tensor_of(std::vector<int64_t>{1, 2, 3})}};
  const Tensor x = random_normal({300, 97}, 1, 7);
  expect_same_bits([&] { return visual_rows(x, rows, plan).output; }, "visual_rows");
  for (const bool keys : {true, false})
    expect_same_bits(
        [&] {
          Tensor grad({2, 101, 17}, DType::f32), basis({97, 17}, DType::f32);
          visual_rows_backward(x, rows, plan, visual_rows(x, rows, plan).scores, x, {},
                               {{}, {}, keys ? grad : Tensor(), {}, keys ? Tensor() : basis, {}});
          return keys ? grad : basis;
        },
        "visual_rows gradient");
}

}  // namespace
}  // namespace dehvf
