// Linear and LayerNorm as modules: parameters named weight and bias.
#pragma once

#include "autograd/ops/linear.h"
#include "autograd/ops/norm.h"
#include "layers/module.h"

namespace dehvf {

enum class Bias : uint8_t { none, zeros };

class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, Bias with_bias = Bias::zeros, Initial initial = {Initial::Kind::xavier})
      : weight({out, in}, initial), bias({out}, {}), with_bias_(with_bias) {}
  void describe(Describer& describer) override {
    describer.parameter("weight", weight);
    if (with_bias_ == Bias::zeros) describer.parameter("bias", bias);
  }
  /// x [..., in] -> [..., out]: activation(x weight^T + bias) + residual
  Variable operator()(const Variable& x, std::optional<Activation> activation = {},
                      const Variable& residual = {}) const {
    return linear(x, weight, {.bias = own_bias(), .activation = activation, .residual = residual});
  }
  /// As one of several maps of x: linears().
  LinearMap map() const { return {.weight = weight, .added = {}, .bias = own_bias()}; }

  Parameter weight, bias;

 private:
  Variable own_bias() const { return with_bias_ == Bias::zeros ? bias.variable() : Variable(); }

  Bias with_bias_;
};

class LayerNorm : public Module {
 public:
  LayerNorm(int64_t width, double eps)
      : weight({width}, {Initial::Kind::ones}), bias({width}, {}), eps_(eps) {}
  void describe(Describer& describer) override {
    describer.parameter("weight", weight);
    describer.parameter("bias", bias);
  }
  Variable operator()(const Variable& x) const { return layer_norm(x, weight, bias, eps_); }
  /// The norm of x + residual, beside that sum; of x alone where `residual` is empty.
  AddedNorm operator()(const Variable& x, const Variable& residual) const {
    return add_layer_norm(x, residual, weight, bias, eps_);
  }
  double eps() const { return eps_; }

  Parameter weight, bias;

 private:
  double eps_;
};

}  // namespace dehvf
