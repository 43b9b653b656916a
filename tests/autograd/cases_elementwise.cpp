#include <cmath>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "core/ops/reduce.h"
#include "op_cases.h"

namespace dehvf {
namespace {

const Shape kOdd{3, 7, 611};  // above one chunk of columns, no multiple of a vector

double phi(double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }

double activation_value(Activation activation, double x) {
  switch (activation) {
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x * phi(x);
    case Activation::gelu_tanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::gelu_quick:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return NAN;
}

const bool kActivations = [] {
  for (Activation activation : {Activation::relu, Activation::silu, Activation::gelu, Activation::gelu_tanh,
                                Activation::gelu_quick, Activation::tanh, Activation::sigmoid})
    // A few roundings of f32 arithmetic stand behind one value: K = 16.
    AddCase({std::string(name_of(activation)),
             {{"x", kOdd, -6, 6}},
             [=](auto in) { return activate(in[0], activation); },
             plain(kOdd,
                   [=](const Doubles& in, std::span<double> out) {
                     for (size_t i = 0; i < out.size(); ++i) out[i] = activation_value(activation, in[0][i]);
                   }),
             16});
  return true;
}();

Op pairwise(const Shape& shape, double (*fn)(double, double)) {
  return plain(shape, [fn](const Doubles& in, std::span<double> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = fn(in[0][i], in[1][i]);
  });
}

// in[0] [rows, width] against in[1] [width] or, by column, [rows]
Op with_vector(const Shape& shape, bool column, double (*fn)(double, double)) {
  return plain(shape, [=](const Doubles& in, std::span<double> out) {
    const auto width = size_t(shape.last());
    for (size_t i = 0; i < out.size(); ++i) out[i] = fn(in[0][i], in[1][column ? i / width : i % width]);
  });
}

const AddCase add_case({"add",
                        {{"a", kOdd}, {"b", kOdd}},
                        [](auto in) { return add(in[0], in[1]); },
                        pairwise(kOdd, [](double a, double b) { return a + b; })});
const AddCase multiply_case({"multiply",
                             {{"a", kOdd}, {"b", kOdd}},
                             [](auto in) { return multiply(in[0], in[1]); },
                             pairwise(kOdd, [](double a, double b) { return a * b; })});
// A leaf that gets two gradients of one node.
const AddCase square_case({"multiply_by_itself",
                           {{"x", kOdd}},
                           [](auto in) { return multiply(in[0], in[0]); },
                           plain(kOdd, [](const Doubles& in, std::span<double> out) {
                             for (size_t i = 0; i < out.size(); ++i) out[i] = in[0][i] * in[0][i];
                           })});
const AddCase scale_case({"scale",
                          {{"x", {1}}},
                          [](auto in) { return scale(in[0], -2.5); },
                          plain({1},
                                [](const Doubles& in, std::span<double> out) { out[0] = -2.5 * in[0][0]; })});
const AddCase cast_case({"cast",
                         {{"x", kOdd}},
                         [](auto in) { return cast(cast(in[0], DType::f64), in[0].dtype()); },
                         [](auto in) { return in[0]; }});
const AddCase reshape_case({"reshape",
                            {{"x", {6, 5}}},
                            [](auto in) {
                              return reshape(in[0], {3, 10});
                            },
                            [](auto in) {
                              return reshape(in[0], {3, 10});
                            }});
const AddCase swiglu_case({"swiglu",
                           {{"gate", kOdd, -4, 4}, {"up", kOdd}},
                           [](auto in) { return swiglu(in[0], in[1]); },
                           pairwise(kOdd, [](double g, double u) { return g / (1 + std::exp(-g)) * u; }),
                           16});
const AddCase add_row_case({"add_row",
                            {{"x", kOdd}, {"row", {611}}},
                            [](auto in) { return add_row(in[0], in[1]); },
                            with_vector(kOdd, false, [](double a, double b) { return a + b; })});
const AddCase multiply_row_case({"multiply_row",
                                 {{"x", kOdd}, {"row", {611}}},
                                 [](auto in) { return multiply_row(in[0], in[1]); },
                                 with_vector(kOdd, false, [](double a, double b) { return a * b; })});
const AddCase multiply_column_case({"multiply_column",
                                    {{"x", kOdd}, {"column", {3, 7}}},
                                    [](auto in) { return multiply_column(in[0], in[1]); },
                                    with_vector(kOdd, true, [](double a, double b) { return a * b; })});

// Kernels behind gradients, as values of their own.
const AddCase sum_rows_case({"sum_rows",
                             {{"x", {29, 613}, -1, 1, false}},
                             [](auto in) { return Variable(sum_rows(in[0].value(), in[0].dtype())); },
                             plain({613},
                                   [](const Doubles& in, std::span<double> out) {
                                     for (size_t i = 0; i < in[0].size(); ++i)
                                       out[i % 613] = (i < 613 ? 0 : out[i % 613]) + in[0][i];
                                   }),
                             29,
                             29});
const AddCase dot_rows_case({"dot_rows",
                             {{"a", {13, 1031}, -1, 1, false}, {"b", {13, 1031}, -1, 1, false}},
                             [](auto in) { return Variable(dot_rows(in[0].value(), in[1].value())); },
                             plain({13},
                                   [](const Doubles& in, std::span<double> out) {
                                     for (size_t r = 0; r < 13; ++r) {
                                       out[r] = 0;
                                       for (size_t c = 0; c < 1031; ++c)
                                         out[r] += in[0][r * 1031 + c] * in[1][r * 1031 + c];
                                     }
                                   }),
                             1031,
                             343});
const AddCase sum_all_case({"sum_all",
                            {{"x", {40011}, -1, 1, false}},
                            [](auto in) { return Variable(sum_all(in[0].value())); },
                            plain({},
                                  [](const Doubles& in, std::span<double> out) {
                                    out[0] = 0;
                                    for (double v : in[0]) out[0] += v;
                                  }),
                            40011,
                            100});

// a [m, k] b [k, n] by three loops; transpose_b reads b as [n, k]
Op product(int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_b, const Shape& shape) {
  return plain(shape, [=](const Doubles& in, std::span<double> out) {
    for (int64_t i = 0; i < batch; ++i)
      for (int64_t r = 0; r < m; ++r)
        for (int64_t c = 0; c < n; ++c) {
          double sum = 0;
          for (int64_t x = 0; x < k; ++x)
            sum += in[0][size_t((i * m + r) * k + x)] *
                   in[1][size_t(i * n * k + (transpose_b ? c * k + x : x * n + c))];
          if (in.size() > 2) sum += in[2][size_t(c)];
          out[size_t((i * m + r) * n + c)] = sum;
        }
  });
}

// Uniform in [-1, 1]: ||a|| ||b|| = K / 3.
const AddCase linear_case({"linear",
                           {{"x", {5, 23, 131}}, {"weight", {97, 131}}},
                           [](auto in) { return linear(in[0], in[1]); },
                           product(1, 115, 97, 131, true, {5, 23, 97}),
                           131,
                           44});
const AddCase linear_bias_case({"linear_bias",
                                {{"x", {1, 7}}, {"weight", {3, 7}}, {"bias", {3}}},
                                [](auto in) { return linear(in[0], in[1], in[2]); },
                                product(1, 1, 3, 7, true, {1, 3}),
                                8,
                                3,
                                2});
Variable low_rank_composed(std::span<const Variable> in) {
  return add(linear(in[0], in[1]), scale(linear(linear(in[0], in[2]), in[3]), 0.7));
}
// Two roundings of the terms, one of their sum and one of what is between down and up.
const AddCase low_rank_case({"linear_low_rank",
                             {{"x", {2, 11, 37}}, {"weight", {29, 37}}, {"down", {5, 37}}, {"up", {29, 5}}},
                             [](auto in) {
                               return linear(in[0], in[1], LowRank{in[2], in[3], 0.7});
                             },
                             low_rank_composed,
                             37 * 5,
                             60,
                             5});
const AddCase linears_case(
    {"linears",
     {{"x", {7, 31}},
      {"left", {13, 31}},
      {"right", {13, 31}},
      {"down", {3, 31}},
      {"up", {13, 3}},
      {"third", {13, 31}},
      {"bias", {13}}},
     [](auto in) {
       const auto all = linears(in[0], {{in[1]}, {in[2], LowRank{in[3], in[4], 0.7}}, {in[5], {}, in[6]}});
       return add(multiply(all[0], all[1]), all[2]);
     },
     [](auto in) {
       const Variable low = scale(linear(linear(in[0], in[3]), in[4]), 0.7);
       return add(multiply(linear(in[0], in[1]), add(linear(in[0], in[2]), low)),
                  linear(in[0], in[5], in[6]));
     },
     31 * 3,
     60,
     4});
const AddCase matmul_case({"matmul_batched",
                           {{"a", {7, 11, 13}}, {"b", {7, 13, 17}}},
                           [](auto in) { return matmul(in[0], in[1]); },
                           product(7, 11, 17, 13, false, {7, 11, 17}),
                           13,
                           4.4});
const AddCase matmul_transposed_case({"matmul_transposed",
                                      {{"a", {201, 67}}, {"b", {303, 67}}},
                                      [](auto in) { return matmul(in[0], in[1], true); },
                                      product(1, 201, 303, 67, true, {201, 303}),
                                      67,
                                      23});
const AddCase matmul_tall_case({"matmul_above_a_tile",
                                {{"a", {1201, 5}, -1, 1}, {"b", {5, 31}, -1, 1}},
                                [](auto in) { return matmul(in[0], in[1]); },
                                product(1, 1201, 31, 5, false, {1201, 31}),
                                5,
                                2});

}  // namespace
}  // namespace dehvf
