// What products do with their sums before they round them.
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/ops/matmul.h"
#include "core/ops/product.h"
#include "support/parity.h"

namespace dehvf {
namespace {

struct Wanted {
  int64_t n;
  std::vector<int64_t> k;  // of its terms
  std::string parts;       // scale s, bias b, activation a, times t, residual +, before <, factor >
  Activation activation = Activation::silu;
  bool has(char part) const { return parts.find(part) != std::string::npos; }
};

// Widths and depths of whole packs and ragged ones, above a tile, so deep that k is cut; no depth at all; on
// the tensor cores and, where a depth is no multiple of eight, without them.
const std::vector<Wanted> kCases[] = {{{40, {24}, "b"}},
                                      {{136, {72, 8}, "sba+<", Activation::gelu_quick}},
                                      {{8, {32, 0, 40}, "at"}, {136, {24}, "sbat+<>"}, {48, {8, 8}, "+"}},
                                      {{5, {7, 3}, "sat+<>"}, {16, {16}, "ba<", Activation::gelu}},
                                      {{1, {1}, "sba+", Activation::relu}},
                                      {{8, {0}, "b+"}},
                                      {{24, {1048}, "sba+<", Activation::gelu_tanh}, {17, {520, 520}, "+"}},
                                      {{72, {1048}, "sat+<>"}, {3, {2048}, "at"}}};

constexpr ProductOrder kLinear{.transpose_b = true};

double largest(const Tensor& x) {
  double most = 0;
  for (double v : x.span<double>()) most = std::max(most, std::fabs(v));
  return most;
}

class EpilogueKernels : public Parity {
 protected:
  std::vector<KernelKey> variants() const {
    std::vector<KernelKey> found;
    for (const KernelKey& key : Registry<Product>::instance().keys())
      if (key.device == device().kind) found.push_back(key);
    return found;
  }
  Tensor matrix(int64_t rows, int64_t columns, DType dtype, int64_t shift = 0, double range = 1) {
    return drawn(rows * columns, shift, dtype, device(), ++seed_, range).reshape({rows, columns});
  }
  // Room for c, or for what is like it, in front of a guard.
  Tensor room(int64_t rows, int64_t columns, DType dtype, int64_t shift) {
    wholes_.emplace_back(output(rows * columns, shift, dtype), shift + rows * columns);
    const Tensor result = wholes_.back().first.slice(shift, shift + rows * columns).reshape({rows, columns});
    fill(result, NAN);
    return result;
  }

  Tensor stored(int64_t rows, int64_t columns, bool transposed, DType dtype, double range) {
    return transposed ? matrix(columns, rows, dtype, 0, range) : matrix(rows, columns, dtype, 0, range);
  }

  // Tensors like c begin `shift` elements behind an aligned address. Sums are near 1 whatever the depth.
  ProductOutput drawn_output(const Wanted& wanted, int64_t m, DType dtype, ProductOrder order,
                             int64_t shift) {
    ProductOutput result{{}, room(m, wanted.n, dtype, shift)};
    Epilogue& e = result.epilogue;
    const double range = std::pow(1 + double(std::reduce(wanted.k.begin(), wanted.k.end())), -0.25);
    const auto weight = [&](int64_t k) { return stored(k, wanted.n, order.transpose_b, dtype, range); };
    for (int64_t k : wanted.k) {
      result.terms.push_back({stored(m, k, order.transpose_a, dtype, range), weight(k)});
      if (wanted.has('t')) e.times.push_back({result.terms.back().a, weight(k)});
    }
    if (wanted.has('s')) e.scale = -0.75;
    if (wanted.has('b')) e.bias = matrix(1, wanted.n, dtype, shift).reshape({wanted.n});
    if (wanted.has('a')) e.activation = wanted.activation;
    if (wanted.has('+')) e.residual = matrix(m, wanted.n, dtype, shift);
    if (wanted.has('<')) e.before = room(m, wanted.n, dtype, shift);
    if (wanted.has('>')) e.factor = room(m, wanted.n, dtype, shift);
    return result;
  }

  static void expect_meant(const ProductOutput& output, const Tensor& residual, ProductOrder order,
                           const std::string& what);
  void expect_guards_untouched() const {
    for (const auto& [whole, end] : wholes_) expect_untouched_behind(whole, end);
  }
  void check(const KernelKey& key, const std::vector<Wanted>& wanted, int64_t m, DType dtype,
             ProductOrder order, int64_t shift);

 private:
  uint64_t seed_ = 0;
  std::vector<std::pair<Tensor, int64_t>> wholes_;
};

Tensor sum_of(const std::vector<ProductTerm>& terms, const Tensor& c, double scaled, ProductOrder order) {
  const Tensor sum = zeros(c.shape(), DType::f64);
  for (const auto& [a, b] : terms)
    matmul_into(exact(a), exact(b), sum, {order.transpose_a, order.transpose_b, 1, true});
  return scale(sum, scaled);
}

// `residual` as it was before: it may be c. A variant that does its epilogue on rounded sums rounds each
// term, and has the errors of both sums in what it multiplies.
void EpilogueKernels::expect_meant(const ProductOutput& output, const Tensor& residual, ProductOrder order,
                                   const std::string& what) {
  const Epilogue& e = output.epilogue;
  double depth = 1;
  const auto k_of = [&](const ProductTerm& term) { return double(term.a.size(order.transpose_a ? 0 : 1)); };
  for (const ProductTerm& term : output.terms) depth += k_of(term);
  for (const ProductTerm& term : e.times) depth = std::max(depth, k_of(term));
  const bool rounds_sums = what.find("cublaslt") != std::string::npos;
  const int stores = rounds_sums ? 2 * int(output.terms.size() + e.times.size()) : 1;
  double magnitude = std::sqrt(depth);  // of a row and a column, each of the fourth root
  Tensor want = sum_of(output.terms, output.c, e.scale, order);
  if (e.bias) want = add_row(want, exact(e.bias));
  if (e.before)
    expect_close(e.before, want, {.additions = depth, .magnitude = magnitude, .stores = stores},
                 what + ", before");
  if (e.activation) want = activate(want, *e.activation);
  if (!e.times.empty()) {
    const Tensor factor = sum_of(e.times, output.c, e.scale, order);
    if (e.factor)
      expect_close(e.factor, factor, {.additions = depth, .magnitude = magnitude, .stores = stores},
                   what + ", factor");
    magnitude *= 1 + largest(want) + largest(factor);
    want = multiply(want, factor);
  }
  if (residual) want = add(want, residual);
  expect_close(output.c, want, {.additions = depth, .magnitude = magnitude, .stores = stores + (stores > 1)},
               what);
}

void EpilogueKernels::check(const KernelKey& key, const std::vector<Wanted>& wanted, int64_t m, DType dtype,
                            ProductOrder order, int64_t shift) {
  std::vector<ProductOutput> outputs;
  for (const Wanted& one : wanted) outputs.push_back(drawn_output(one, m, dtype, order, shift));
  Registry<Product>::instance().find(key)(outputs, order);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& residual = outputs[i].epilogue.residual;
    expect_meant(outputs[i], residual ? exact(residual) : Tensor(), order,
                 concat("product ", key, ' ', m, 'x', wanted[i].n, ' ', wanted[i].parts, " shift ", shift,
                        ", output ", i));
  }
  expect_guards_untouched();
}

TEST_P(EpilogueKernels, AllParts) {
  for (const KernelKey& key : variants())
    for (const auto& wanted : kCases)
      for (int64_t m : {0, 1, 132})
        for (DType dtype : kKernelDtypes) {
          int64_t multiplications = 0;
          for (const Wanted& one : wanted)
            for (int64_t k : one.k) multiplications += m * one.n * k;
          if (!affordable(multiplications, dtype)) continue;
          for (const ProductOrder& order : {ProductOrder{}, kLinear, ProductOrder{true, true}})
            check(key, wanted, m, dtype, order, 0);
        }
}

TEST_P(EpilogueKernels, ResultsAtAnyAddress) {
  for (const KernelKey& key : variants())
    for (DType dtype : kKernelDtypes)
      check(key, {{40, {16}, "sbat+<>"}, {48, {24}, "b+"}}, 33, dtype, kLinear, 1);
}

TEST_P(EpilogueKernels, EveryActivation) {
  for (const KernelKey& key : variants())
    for (int kind = 0; kind <= int(Activation::sigmoid); ++kind)
      check(key, {{16, {24}, "ba<", Activation(kind)}}, 5, DType::bf16, kLinear, 0);
}

TEST_P(EpilogueKernels, ResidualMayBeTheResult) {
  for (const KernelKey& key : variants())
    for (int64_t k : {40, 1048})
      for (const char* parts : {"", "sba", "at"}) {
        ProductOutput output = drawn_output({24, {k}, parts}, 19, DType::f16, kLinear, 0);
        output.c = output.epilogue.residual = matrix(19, 24, DType::f16);
        const Tensor before = exact(output.c);
        Registry<Product>::instance().find(key)({&output, 1}, kLinear);
        expect_meant(output, before, kLinear, concat("product ", key, ' ', parts, " onto its residual"));
      }
}

TEST_P(EpilogueKernels, FactorsOfAnotherOperand) {
  for (const KernelKey& key : variants()) {
    ProductOutput output = drawn_output({24, {16}, "at"}, 9, DType::bf16, kLinear, 0);
    output.epilogue.times = {{matrix(9, 40, DType::bf16, 0, 0.4), matrix(24, 40, DType::bf16, 0, 0.4)},
                             {matrix(9, 8, DType::f32, 0, 0.4), matrix(24, 8, DType::bf16, 0, 0.4)}};
    Registry<Product>::instance().find(key)({&output, 1}, kLinear);
    expect_meant(output, {}, kLinear, concat("product ", key, " by another one"));
  }
}

TEST_P(EpilogueKernels, RepeatAndPassNanOn) {
  for (const KernelKey& key : variants())
    for (int64_t k : {24, 1048}) {
      ProductOutput output = drawn_output({40, {k}, "bat+", Activation::relu}, 7, DType::bf16, kLinear, 0);
      const auto product = [&] {
        Registry<Product>::instance().find(key)({&output, 1}, kLinear);
        return output.c.to(kCpu);
      };
      const Tensor first = product(), second = product();
      EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0) << key;
      fill(output.epilogue.bias.slice(3, 4), NAN);
      fill(output.epilogue.residual.slice(2, 3), NAN);
      const Tensor c = exact(product());
      for (int64_t i = 0; i < c.count(); ++i)
        ASSERT_EQ(std::isnan(c.data<double>()[i]), i / 40 == 2 || i % 40 == 3) << key << ", element " << i;
    }
}

TEST_P(EpilogueKernels, RefuseWhatDoesNotFit) {
  const auto refused = [&](const auto& change) {
    ProductOutput output = drawn_output({8, {16}, ""}, 3, DType::bf16, kLinear, 0);
    change(output.epilogue);
    EXPECT_ANY_THROW(product_into({&output, 1}, kLinear));
  };
  refused([&](Epilogue& e) { e.bias = matrix(1, 9, DType::bf16).reshape({9}); });
  refused([&](Epilogue& e) { e.bias = matrix(1, 8, DType::f32).reshape({8}); });
  refused([&](Epilogue& e) { e.residual = matrix(8, 3, DType::bf16); });
  refused([&](Epilogue& e) { e.factor = matrix(3, 8, DType::bf16); });
  refused([&](Epilogue& e) { e.times = {{matrix(3, 16, DType::bf16), matrix(9, 16, DType::bf16)}}; });
}

TEST_P(EpilogueKernels, WhatIsNotFiniteIsSeen) {
  const ProductOutput output = drawn_output({8, {16}, "b"}, 3, DType::bf16, kLinear, 0);
  const NanWatch watch;
  EXPECT_NO_THROW(product_into({&output, 1}, kLinear));
  fill(output.epilogue.bias, NAN);
  EXPECT_THROW(product_into({&output, 1}, kLinear), Error);
}

INSTANTIATE_TEST_SUITE_P(Places, EpilogueKernels, kAsyncPlaces, place_name);

}  // namespace
}  // namespace dehvf
