// A Variable is a tensor that remembers how it was made. Leaves are constants (a plain Tensor converts to
// one), trainable parameters, or frozen weights whose bytes are there only while their block is leased.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace dehvf {

struct Node;
struct VariableState;
struct VariableValue;

/// Where a frozen weight's bytes come from: resolved at every use, so that no closure keeps leased memory
/// alive.
using WeightRef = std::function<Tensor()>;

class Variable {
 public:
  Variable() = default;       // empty
  Variable(Tensor constant);  // NOLINT(google-explicit-constructor): a tensor is a constant
  static Variable parameter(Tensor value, std::string name);  // wants a gradient, kept in f32 (f64 for f64)
  static Variable frozen(WeightRef source, const Shape& shape, DType dtype, std::string name);

  bool defined() const { return state_ != nullptr; }
  Tensor value() const;  // a frozen weight throws when its block is not leased
  const Shape& shape() const;
  DType dtype() const;
  DType grad_dtype() const;  // of the gradient that backward delivers
  Device device() const { return value().device(); }
  const std::string& name() const;  // of a parameter or frozen weight; the op's for a result
  bool wants_grad() const;
  bool is_leaf() const;

  Tensor grad() const;                 // empty until backward has reached this parameter
  void set_grad(Tensor buffer) const;  // backward adds into it from now on; empty forgets
  void set_value(
      Tensor value) const;  // parameters only: other bytes, perhaps of another dtype (FlatParameters)

  Variable detached() const;       // the value as a new leaf that wants a gradient exactly if this does
  Variable without_value() const;  // the same variable for the tape; keeps no bytes alive
  friend bool operator==(const Variable& a, const Variable& b) {  // the same variable, not equal values
    return a.state_ == b.state_;
  }

 private:
  friend struct Node;
  std::shared_ptr<VariableValue> value_;
  std::shared_ptr<VariableState> state_;
};

}  // namespace dehvf
