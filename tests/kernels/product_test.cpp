#include "core/ops/product.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/ops/matmul.h"
#include "support/parity.h"

namespace dehvf {
namespace {

class ProductKernels : public Parity {
 protected:
  Tensor matrix(int64_t rows, int64_t columns, DType dtype, uint64_t key, int64_t shift = 0) const {
    return drawn(rows * columns, shift, dtype, device(), key, 1).reshape({rows, columns});
  }
  Tensor stored(int64_t rows, int64_t columns, bool transposed, DType dtype, uint64_t key) const {
    return transposed ? matrix(columns, rows, dtype, key) : matrix(rows, columns, dtype, key);
  }
};

struct Wanted {
  int64_t n;
  std::vector<int64_t> k;  // of its terms
};

// Each term but the first is stored, and added to what was stored before, where a kernel takes them one by
// one.
Bound bound_of(const Wanted& wanted) {
  const double depth = std::max(1.0, double(std::reduce(wanted.k.begin(), wanted.k.end())));
  const auto empty = int(std::ranges::count(wanted.k, 0));
  return {
      .additions = depth, .magnitude = depth, .stores = std::max(1, 2 * (int(wanted.k.size()) - empty) - 1)};
}

Tensor sum_of(const ProductOutput& output, ProductOrder order) {
  const Tensor sum = zeros(output.c.shape(), DType::f64);
  for (const auto& [a, b] : output.terms)
    matmul_into(exact(a), exact(b), sum, {order.transpose_a, order.transpose_b, 1, true});
  return sum;
}

// Widths and depths of whole packs and ragged ones, above a tile and above several stages; no depth at all.
const std::vector<Wanted> kCases[] = {{{40, {24}}},
                                      {{136, {72, 8}}},
                                      {{8, {32, 0, 40}}, {136, {200}}, {48, {8, 8}}},
                                      {{5, {7, 3}}, {16, {16}}},
                                      {{1, {1}}},
                                      {{8, {0}}},
                                      {{40, {12}}, {12, {28, 4}}}};

constexpr ProductOrder kOrders[] = {{false, false}, {false, true}, {true, false}, {true, true}};

TEST_P(ProductKernels, TermsAndOutputs) {
  for (const KernelKey& key : variants<Product>())
    for (const auto& wanted : kCases)
      for (int64_t m : {1, 131})
        for (DType dtype : kKernelDtypes)
          for (const ProductOrder& order : kOrders) {
            if (!affordable(m * wanted.front().n * wanted.front().k.front(), dtype)) continue;
            std::vector<ProductOutput> outputs;
            std::vector<Tensor> wholes;
            uint64_t seed = 1;
            for (const auto& [n, depths] : wanted) {
              wholes.push_back(output(m * n, 0, dtype));
              outputs.push_back({{}, wholes.back().slice(0, m * n).reshape({m, n})});
              fill(outputs.back().c, NAN);
              for (int64_t k : depths)
                outputs.back().terms.push_back({stored(m, k, order.transpose_a, dtype, ++seed),
                                                stored(k, n, order.transpose_b, dtype, ++seed)});
            }
            Registry<Product>::instance().find(key)(outputs, order);
            for (size_t i = 0; i < outputs.size(); ++i) {
              expect_close(outputs[i].c, sum_of(outputs[i], order), bound_of(wanted[i]),
                           concat("product ", key, ' ', m, 'x', wanted[i].n, ", output ", i));
              expect_untouched_behind(wholes[i], m * wanted[i].n);
            }
          }
}

TEST_P(ProductKernels, MixedDtypesAndAddresses) {
  for (const KernelKey& key : variants<Product>())
    for (DType result : kKernelDtypes) {
      const ProductOutput one{{{matrix(33, 24, DType::bf16, 1), matrix(40, 24, DType::bf16, 2)},
                               {matrix(33, 16, DType::f32, 3), matrix(40, 16, DType::f16, 4)}},
                              Tensor({33, 40}, result, device())};
      const ProductOutput shifted{{{matrix(33, 24, DType::bf16, 5, 1), matrix(16, 24, DType::bf16, 6)}},
                                  Tensor({33, 16}, result, device())};
      const std::vector<ProductOutput> outputs{one, shifted};
      Registry<Product>::instance().find(key)(outputs, {.transpose_b = true});
      for (const ProductOutput& output : outputs)
        expect_close(output.c, sum_of(output, {.transpose_b = true}),
                     {.additions = 40, .magnitude = 40, .stores = 3},
                     concat("product ", key, " mixed, into ", result));
    }
}

TEST_P(ProductKernels, RefuseWhatDoesNotFit) {
  const Tensor a = matrix(3, 8, DType::bf16, 1), b = matrix(5, 8, DType::bf16, 2);
  const auto refused = [&](const ProductOutput& one, ProductOrder order = {.transpose_b = true}) {
    EXPECT_THROW(product_into({&one, 1}, order), ShapeError);
  };
  refused({{{a, b}}, Tensor({3, 6}, DType::bf16, device())});
  refused({{{a, b}}, Tensor({4, 5}, DType::bf16, device())});
  refused({{{a, b}}, Tensor({3, 5}, DType::bf16, device())}, {});
  refused({{{a, b}}, Tensor({3, 5}, DType::bf16, device())}, {true, true});
  refused({{}, Tensor({3, 5}, DType::bf16, device())});
}

INSTANTIATE_TEST_SUITE_P(Places, ProductKernels, kAsyncPlaces, place_name);

}  // namespace
}  // namespace dehvf
