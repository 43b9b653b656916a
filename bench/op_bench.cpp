// Times of single ops on the CPU at the sizes of the toy models and of larger ones, with 1 and 2 threads.
#include <cmath>
#include <functional>

#include <benchmark/benchmark.h>

#include "autograd/ops/attention.h"
#include "autograd/ops/cross_entropy.h"
#include "core/backend.h"
#include "core/ops/matmul.h"
#include "core/parallel.h"
#include "core/random.h"

namespace dehvf {
namespace {

using benchmark::State;

// Reports multiplications and additions as 1e9 a second.
void report(State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

struct AttentionSizes {
  std::string name;
  int64_t spans, heads, kv_heads, queries, keys, dim;
  bool causal;
};

Tensor equal_spans(const AttentionSizes& s) {
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < s.spans; ++i)
    for (const int64_t value : {i * s.queries, s.queries, i * s.keys, s.keys}) rows.push_back(int32_t(value));
  return tensor_of(std::span<const int32_t>(rows), {s.spans, 4});
}

enum class Passes : uint8_t { forward, both };

// Counts the whole rectangle of scores, also where causal halves it: two products forward, five backward.
void time_attention(State& state, const AttentionSizes& s, Passes passes, int threads) {
  const Tensor spans = equal_spans(s);
  const Shape q_shape{s.spans * s.queries, s.heads, s.dim}, k_shape{s.spans * s.keys, s.kv_heads, s.dim};
  const auto leaf = [&](const Shape& shape, uint64_t key) {
    const Tensor value = random_normal(shape, 1, key);
    return passes == Passes::both ? Variable::parameter(value, "leaf") : Variable(value);
  };
  const Variable q = leaf(q_shape, 1), k = leaf(k_shape, 2), v = leaf(k_shape, 3);
  const AttentionOptions options{.causal = s.causal, .scale = 1 / std::sqrt(double(s.dim))};
  const Tensor upstream = random_normal(q_shape, 1, 4);
  set_cpu_threads(threads);
  for (auto step : state) {
    const Variable out = attention(q, k, v, spans, options);
    if (passes == Passes::both) backward(out, upstream);
  }
  report(state, 2.0 * double(passes == Passes::both ? 7 : 2) *
                    double(s.spans * s.heads * s.queries * s.keys * s.dim));
}

void time_product(State& state, int64_t m, int64_t n, int64_t k, const MatmulOptions& options, int threads) {
  const Tensor a = random_normal(options.transpose_a ? Shape{k, m} : Shape{m, k}, 1, 1);
  const Tensor b = random_normal(options.transpose_b ? Shape{n, k} : Shape{k, n}, 1, 2);
  const Tensor c({m, n}, DType::f32);
  set_cpu_threads(threads);
  for (auto step : state) matmul_into(a, b, c, options);
  report(state, 2.0 * double(m * n * k));
}

void time_loss(State& state, int64_t rows, int64_t width, int64_t vocabulary, int threads) {
  const Variable hidden = Variable::parameter(random_normal({rows, width}, 1, 1), "hidden");
  const Tensor head = random_normal({vocabulary, width}, 0.1, 2);
  const Tensor targets = tensor_of(std::vector<int32_t>(size_t(rows), int32_t(vocabulary / 2)));
  const Tensor upstream = full({rows}, 1 / double(rows));
  set_cpu_threads(threads);
  for (auto step : state) backward(cross_entropy(hidden, head, targets), upstream);
  report(state, 2.0 * 3 * double(rows * width * vocabulary));
}

void add_bench(const std::string& name, const std::function<void(State&, int threads)>& time) {
  for (const int threads : {1, 2})
    benchmark::RegisterBenchmark((name + "/threads:" + std::to_string(threads)).c_str(), [=](State& state) {
      time(state, threads);
    })->UseRealTime();
}

void add_attention(const AttentionSizes& s) {
  add_bench("attention/" + s.name + "/forward",
            [=](State& state, int threads) { time_attention(state, s, Passes::forward, threads); });
  add_bench("attention/" + s.name + "/both",
            [=](State& state, int threads) { time_attention(state, s, Passes::both, threads); });
}

// A linear layer [rows, in] -> [rows, out] and its two gradients.
void add_products(int64_t rows, int64_t out, int64_t in) {
  const std::string sizes = concat(rows, "x", out, "x", in);
  add_bench("product/forward/" + sizes, [=](State& state, int threads) {
    time_product(state, rows, out, in, {.transpose_b = true}, threads);
  });
  add_bench("product/input_gradient/" + sizes,
            [=](State& state, int threads) { time_product(state, rows, in, out, {}, threads); });
  add_bench("product/weight_gradient/" + sizes, [=](State& state, int threads) {
    time_product(state, out, in, rows, {.transpose_a = true}, threads);
  });
}

void add_loss(int64_t rows, int64_t width, int64_t vocabulary) {
  add_bench(concat("cross_entropy/", rows, "x", width, "x", vocabulary),
            [=](State& state, int threads) { time_loss(state, rows, width, vocabulary, threads); });
}

void add_benches() {
  add_attention({"fuser", 3000, 2, 2, 4, 6, 8, false});
  add_attention({"toy_text", 64, 4, 4, 24, 24, 16, true});
  add_attention({"toy_tower", 64, 4, 4, 20, 20, 16, false});
  add_attention({"toy_decode", 64, 4, 4, 1, 40, 16, true});
  add_attention({"text_512", 1, 8, 8, 512, 512, 128, true});
  add_attention({"text_512_grouped", 1, 8, 2, 512, 512, 128, true});
  add_attention({"tower_257", 4, 16, 16, 257, 257, 64, false});
  add_products(1536, 64, 64);
  add_products(1536, 176, 64);
  add_products(1536, 512, 128);
  add_products(16, 64, 64);
  add_products(512, 1024, 1024);
  add_loss(64, 64, 500);
  add_loss(320, 128, 1000);
  add_loss(128, 512, 32000);
}

}  // namespace
}  // namespace dehvf

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const dehvf::Runtime runtime;
  dehvf::add_benches();
  benchmark::RunSpecifiedBenchmarks();
}
