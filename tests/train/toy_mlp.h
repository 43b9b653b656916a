// A small module for tests of training: two linear layers with a tanh between them.
#pragma once

#include "autograd/ops/elementwise.h"
#include "layers/linear.h"

namespace dehvf {

class ToyMlp : public Module {
 public:
  explicit ToyMlp(int64_t in = 5, int64_t hidden = 13, int64_t out = 3)
      : first(in, hidden), second(hidden, out) {}
  void describe(Describer& describer) override {
    describer.child("first", first);
    describer.child("second", second);
  }
  Variable operator()(const Tensor& x) const { return second(activate(first(x), Activation::tanh)); }

  Linear first, second;
};

inline std::vector<float> numbers(const Tensor& tensor) {
  return {tensor.span<float>().begin(), tensor.span<float>().end()};
}

}  // namespace dehvf
