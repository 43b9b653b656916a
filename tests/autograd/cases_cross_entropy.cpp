#include <cmath>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "core/ops/cross_entropy.h"
#include "op_cases.h"

namespace dehvf {
namespace {

std::vector<int32_t> targets(int64_t rows, int64_t vocab) {
  std::vector<int32_t> result;
  for (int64_t i = 0; i < rows; ++i) result.push_back(int32_t((i * 37 + 11) % vocab));
  return result;
}

OpCase losses_case(std::string name, int64_t rows, int64_t width, int64_t vocab) {
  const auto chosen = targets(rows, vocab);
  return {std::move(name),
          {{"hidden", {rows, width}}, {"head", {vocab, width}}, {"targets", {rows}, 0, 0, false, chosen}},
          [](auto in) { return cross_entropy(in[0], in[1], in[2].value()); },
          plain({rows},
                [=](const Doubles& in, std::span<double> out) {
                  for (int64_t i = 0; i < rows; ++i) {
                    double sum = 0, wanted = 0;
                    for (int64_t v = 0; v < vocab; ++v) {
                      double logit = 0;
                      for (int64_t c = 0; c < width; ++c)
                        logit += in[0][size_t(i * width + c)] * in[1][size_t(v * width + c)];
                      sum += std::exp(logit);
                      if (v == chosen[size_t(i)]) wanted = logit;
                    }
                    out[size_t(i)] = std::log(sum) - wanted;
                  }
                }),
          double(width)};
}

const AddCase small(losses_case("cross_entropy", 7, 13, 29));
const AddCase single(losses_case("cross_entropy_single", 1, 1, 2));
const AddCase blocks(losses_case("cross_entropy_above_a_block", 259, 5, 31));

const AddCase sum_case({"sum_all_variable",
                        {{"x", {3, 11}}},
                        [](auto in) { return sum_all(in[0]); },
                        plain({},
                              [](const Doubles& in, std::span<double> out) {
                                out[0] = 0;
                                for (double v : in[0]) out[0] += v;
                              }),
                        33,
                        4});

const AddCase argmax_case({"argmax_rows",
                           {{"x", {9, 613}, -1, 1, false}},
                           [](auto in) {  // indices as numbers, so that the comparison applies
                             const Tensor index = argmax_rows(in[0].value());
                             Tensor numbers({index.count()}, DType::f32);
                             std::copy_n(index.data<int32_t>(), index.count(), numbers.data<float>());
                             return Variable(numbers);
                           },
                           plain({9}, [](const Doubles& in, std::span<double> out) {
                             for (size_t r = 0; r < 9; ++r)
                               out[r] = double(std::ranges::distance(
                                   in[0].begin() + r * 613,
                                   std::max_element(in[0].begin() + r * 613, in[0].begin() + (r + 1) * 613)));
                           })});

}  // namespace
}  // namespace dehvf
