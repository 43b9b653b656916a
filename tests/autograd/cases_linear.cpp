// Products with an epilogue against the ops that they stand for.
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "op_cases.h"

namespace dehvf {
namespace {

// Uniform in [-1, 1]: ||a|| ||b|| = K / 3. All is rounded once, at the end.
const AddCase linear_activation_case(
    {"linear_activation",
     {{"x", {5, 7, 31}}, {"weight", {29, 31}}, {"bias", {29}}},
     [](auto in) { return linear(in[0], in[1], {.bias = in[2], .activation = Activation::gelu_quick}); },
     [](auto in) { return activate(add_row(linear(in[0], in[1]), in[2]), Activation::gelu_quick); },
     48,
     16});
const AddCase linear_residual_case({"linear_residual",
                                    {{"x", {3, 17}}, {"weight", {19, 17}}, {"residual", {3, 19}}},
                                    [](auto in) { return linear(in[0], in[1], {.residual = in[2]}); },
                                    [](auto in) { return add(linear(in[0], in[1]), in[2]); },
                                    18,
                                    7});
const AddCase linear_all_case(
    {"linear_all_parts",
     {{"x", {2, 9, 13}}, {"weight", {11, 13}}, {"bias", {11}}, {"residual", {2, 9, 11}}},
     [](auto in) {
       return linear(in[0], in[1], {.bias = in[2], .activation = Activation::gelu, .residual = in[3]});
     },
     [](auto in) { return add(activate(add_row(linear(in[0], in[1]), in[2]), Activation::gelu), in[3]); },
     32,
     8});
// The errors of both sums, each times the other.
const AddCase linear_swiglu_case({"linear_swiglu",
                                  {{"x", {2, 11, 23}}, {"gate", {37, 23}}, {"up", {37, 23}}},
                                  [](auto in) { return swiglu(in[0], in[1], in[2]); },
                                  [](auto in) { return swiglu(linear(in[0], in[1]), linear(in[0], in[2])); },
                                  48,
                                  80});

}  // namespace
}  // namespace dehvf
