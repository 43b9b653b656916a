// The frozen products of 7B, attention at the lengths that matter, the visual rows.
#include <cmath>

#include "bench/kernel_bench.h"
#include "core/ops/attention.h"
#include "core/ops/matmul.h"
#include "core/ops/product.h"
#include "core/ops/visual_rows.h"

namespace dehvf {
namespace {

void add_product(std::vector<KernelCase>& cases, const Workbench& bench, std::string_view what, int64_t m,
                 int64_t n, int64_t k, bool stored_transposed) {
  KernelCase one{.slot = "matmul",
                 .shape = concat(what, ' ', m, 'x', n, 'x', k, " bf16"),
                 .bytes = 2.0 * double(m * k + n * k + m * n),
                 .flops = 2.0 * double(m) * double(n) * double(k),
                 .variants = variants_of<Matmul>(bench.device())};
  std::erase_if(one.variants, [&](const KernelKey& key) { return key.variant == "naive" && !bench.quick(); });
  one.make = [=](const Workbench& on) {
    return [a = on.random({m, k}), b = on.random(stored_transposed ? Shape{n, k} : Shape{k, n}),
            c = on.empty({m, n}), options = MatmulOptions{.transpose_b = stored_transposed}](
               const KernelKey& key) { Registry<Matmul>::instance().find(key)(a, b, c, options); };
  };
  cases.push_back(std::move(one));
}

// Ways to the same result: with an epilogue, and by launches behind the product.
enum class Ending : uint8_t { fused, separate };

struct Ended {
  std::vector<ProductOutput> outputs;
  std::function<void()> after = [] {};
};

// Bytes are those of the fused form for both, so that the two are measured beside the same copy.
void add_ended(std::vector<KernelCase>& cases, const Workbench& bench, std::string_view what, int64_t m,
               int64_t n, int64_t k, int products, int like_c,
               const std::function<Ended(const Workbench&, const Tensor& x, Ending)>& draw) {
  for (const Ending ending : {Ending::fused, Ending::separate})
    cases.push_back(
        {"product",
         concat(what, ending == Ending::fused ? " fused " : " launches ", m, 'x', n, 'x', k, " bf16"),
         2.0 * double(m * k + products * n * k + like_c * m * n),
         2.0 * products * double(m) * double(n) * double(k), variants_of<Product>(bench.device()),
         [=](const Workbench& on) {
           return [ended = draw(on, on.random({m, k}), ending)](const KernelKey& key) {
             Registry<Product>::instance().find(key)(ended.outputs, {.transpose_b = true});
             ended.after();
           };
         }});
}

void add_swiglu(std::vector<KernelCase>& cases, const Workbench& bench, int64_t m, int64_t n, int64_t k) {
  add_ended(cases, bench, "swiglu", m, n, k, 2, 3, [=](const Workbench& on, const Tensor& x, Ending ending) {
    const ProductTerm gate{x, on.random({n, k})}, up{x, on.random({n, k})};
    const Tensor g = on.empty({m, n}), u = on.empty({m, n}), h = on.empty({m, n});
    if (ending == Ending::separate)
      return Ended{{{{gate}, g}, {{up}, u}}, [=] { run<SwiGlu>(on.device().kind, g, u, h); }};
    ProductOutput all{{gate}, h};
    all.epilogue = {.activation = Activation::silu, .times = {up}, .before = g, .factor = u};
    return Ended{{all}};
  });
}

void add_residual(std::vector<KernelCase>& cases, const Workbench& bench, int64_t m, int64_t n, int64_t k) {
  add_ended(cases, bench, "down", m, n, k, 1, 2, [=](const Workbench& on, const Tensor& x, Ending ending) {
    ProductOutput y{{{x, on.random({n, k})}}, on.empty({m, n})};
    const Tensor residual = on.random({m, n}), sum = on.empty({m, n});
    if (ending == Ending::separate)
      return Ended{{y}, [=, c = y.c] { run<Add>(on.device().kind, residual, c, 1.0, sum); }};
    y.epilogue.residual = residual;
    return Ended{{y}};
  });
}

void add_tower_mlp(std::vector<KernelCase>& cases, const Workbench& bench, int64_t m, int64_t n, int64_t k) {
  add_ended(cases, bench, "tower fc1", m, n, k, 1, 2,
            [=](const Workbench& on, const Tensor& x, Ending ending) {
              ProductOutput y{{{x, on.random({n, k})}}, on.empty({m, n})};
              const Tensor bias = on.random({n}), before = on.empty({m, n}), h = on.empty({m, n});
              if (ending == Ending::separate)
                return Ended{{y}, [=, c = y.c] {
                               run<AddRow>(on.device().kind, c, bias, before);
                               run<Activate>(on.device().kind, before, Activation::gelu_quick, h);
                             }};
              y.epilogue = {.bias = bias, .activation = Activation::gelu_quick, .before = before};
              return Ended{{y}};
            });
}

struct AttentionSize {
  std::string_view what;
  int64_t spans, length, heads, kv_heads, dim;
  bool causal;
};

// Causal attention counts half of the square; backward 2.5 times forward.
void add_attention(std::vector<KernelCase>& cases, const Workbench& bench, const AttentionSize& s) {
  const int64_t rows = s.spans * s.length;
  const Shape q{rows, s.heads, s.dim}, k{rows, s.kv_heads, s.dim};
  const std::string shape = concat(s.what, ' ', s.spans, 'x', s.length, " heads ", s.heads, '/', s.kv_heads,
                                   " dim ", s.dim, s.causal ? " causal bf16" : " full bf16");
  const double flops =
      4.0 * double(rows) * double(s.length) * double(s.heads * s.dim) * (s.causal ? 0.5 : 1.0);
  std::vector<int32_t> spans;
  for (int64_t i = 0; i < s.spans; ++i)
    for (const int64_t value : {i * s.length, s.length, i * s.length, s.length})
      spans.push_back(int32_t(value));
  const AttentionOptions options{
      .causal = s.causal, .scale = 1 / std::sqrt(double(s.dim)), .own_keys = true, .longest = s.length};
  struct Operands {
    Tensor q, k, v, spans, out, lse;
  };
  const auto draw = [=, count = s.spans](const Workbench& on) {
    return Operands{on.random(q), on.random(k),
                    on.random(k), on.indices(spans).reshape({count, 4}),
                    on.empty(q),  on.empty({q[1], q[0]}, DType::f32)};
  };
  const double once = 2.0 * double(2 * q.count() + 2 * k.count());
  cases.push_back(
      {"attention", shape, once, flops, variants_of<Attention>(bench.device()), [=](const Workbench& on) {
         return [o = draw(on), options](const KernelKey& key) {
           Registry<Attention>::instance().find(key)(o.q, o.k, o.v, o.spans, options, o.out, o.lse);
         };
       }});
  cases.push_back({"attention_backward", shape, 2 * once, 2.5 * flops,
                   variants_of<AttentionBackward>(bench.device()), [=](const Workbench& on) {
                     const Operands o = draw(on);
                     run<Attention>(on.device().kind, o.q, o.k, o.v, o.spans, options, o.out, o.lse);
                     return [o, options, dout = on.random(q),
                             grads = AttentionGrads{on.empty(q), on.empty(k), on.empty(k)}](
                                const KernelKey& key) {
                       Registry<AttentionBackward>::instance().find(key)(o.q, o.k, o.v, o.spans, options,
                                                                         o.out, o.lse, dout, grads);
                     };
                   }});
  for (KernelCase* one : {&cases.back(), &cases[cases.size() - 2]})
    std::erase_if(one->variants,
                  [&](const KernelKey& key) { return key.variant == "naive" && !bench.quick(); });
}

struct RowsSize {
  int64_t samples, length, slots, terms, rank, width;
};

void add_visual_rows(std::vector<KernelCase>& cases, const Workbench& bench, const RowsSize& s) {
  const int64_t tokens = s.samples * s.length;
  // Two shared products and, per token, the image's terms in `rank` dimensions and back.
  const double flops =
      2.0 * double(tokens) *
      (2.0 * double(s.slots * s.width) + 2.0 * double(s.rank * s.width) + 2.0 * double(s.terms * s.rank));
  const double bytes = 2.0 * double(2 * tokens * s.width + 2 * s.slots * s.width + s.rank * s.width +
                                    2 * s.samples * s.terms * s.rank) +
                       4.0 * double(tokens * s.slots);
  const std::string shape =
      concat(s.samples, 'x', s.length, " slots ", s.slots, " rank ", s.rank, " width ", s.width, " bf16");
  struct Operands {
    Tensor x, output, scores;
    VisualRowsTensors rows;
    VisualRowsPlan plan;
  };
  const auto draw = [=](const Workbench& on) {
    std::vector<int32_t> offsets, images;
    for (int64_t i = 0; i <= s.samples; ++i) offsets.push_back(int32_t(i * s.length));
    for (int64_t i = 0; i < s.samples; ++i) images.push_back(int32_t(i));
    const Tensor image_terms = on.random({s.samples, s.terms, s.rank});
    return Operands{on.random({tokens, s.width}),
                    on.empty({tokens, s.width}),
                    on.empty({tokens, s.slots}, DType::f32),
                    {.slot_keys = on.random({s.slots, s.width}),
                     .slot_values = on.random({s.slots, s.width}),
                     .image_keys = image_terms,
                     .image_values = on.random({s.samples, s.terms, s.rank}),
                     .basis = on.random({s.width, s.rank}),
                     .bias = on.random({s.width})},
                    {.sample_offsets = on.indices(offsets), .image_of = on.indices(images)}};
  };
  cases.push_back({"visual_rows_forward", shape, bytes, flops, variants_of<VisualRowsForward>(bench.device()),
                   [=](const Workbench& on) {
                     return [o = draw(on)](const KernelKey& key) {
                       Registry<VisualRowsForward>::instance().find(key)(o.x, o.rows, o.plan, {}, o.output,
                                                                         o.scores);
                     };
                   }});
  std::erase_if(cases.back().variants,
                [&](const KernelKey& key) { return key.variant == "naive" && !bench.quick(); });
}

}  // namespace

std::vector<KernelCase> product_cases(const Workbench& bench) {
  std::vector<KernelCase> cases;
  if (bench.quick()) {
    add_product(cases, bench, "tiny", 33, 40, 72, true);
    add_product(cases, bench, "tiny gradient", 33, 72, 40, false);
    add_swiglu(cases, bench, 33, 40, 24);
    add_residual(cases, bench, 33, 24, 40);
    add_tower_mlp(cases, bench, 33, 40, 24);
    return cases;
  }
  for (const int64_t m : {512, 2048}) {
    add_product(cases, bench, "q", m, 4096, 4096, true);
    add_product(cases, bench, "gate", m, 11008, 4096, true);
    add_product(cases, bench, "down", m, 4096, 11008, true);
    add_product(cases, bench, "gate gradient", m, 4096, 11008, false);
    add_product(cases, bench, "down gradient", m, 11008, 4096, false);
    add_swiglu(cases, bench, m, 11008, 4096);
    add_residual(cases, bench, m, 4096, 11008);
  }
  add_tower_mlp(cases, bench, 16 * 257, 4096, 1024);
  return cases;
}

std::vector<KernelCase> fusion_cases(const Workbench& bench) {
  std::vector<KernelCase> cases;
  if (bench.quick()) {
    add_attention(cases, bench, {"tiny", 2, 17, 2, 1, 64, true});
    add_visual_rows(cases, bench, {2, 9, 12, 10, 16, 64});
    return cases;
  }
  add_attention(cases, bench, {"llama", 4, 512, 32, 32, 128, true});
  add_attention(cases, bench, {"llama", 16, 128, 32, 32, 128, true});
  add_attention(cases, bench, {"llama", 1, 4096, 32, 32, 128, true});
  add_attention(cases, bench, {"tower", 16, 257, 16, 16, 64, false});
  add_visual_rows(cases, bench, {4, 512, 256, 256, 128, 4096});
  add_visual_rows(cases, bench, {4, 128, 256, 256, 128, 4096});
  return cases;
}

}  // namespace dehvf
