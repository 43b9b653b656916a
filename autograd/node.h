// The graph behind Variables: private to variable.cpp and tape.cpp.
#pragma once

#include <optional>

#include "autograd/tape.h"

namespace dehvf {

// The bytes of a variable, shared by its handles.
struct VariableValue {
  Tensor tensor;
  WeightRef source;  // instead of tensor, for a frozen weight
};

// All else that is known of a variable: the graph keeps this and not the bytes.
struct VariableState {
  Shape shape;
  DType dtype = DType::f32;
  std::optional<DType> grad_dtype;  // of a leaf; results have gradients of their own dtype
  bool wants_grad = false;
  std::string name;
  Tensor grad;
  std::shared_ptr<Node> node;
};

struct Node {
  uint64_t sequence;  // order of recording
  std::string_view op;
  std::vector<Variable> inputs;  // without their values
  Backward backward;
  bool partial;

  static VariableState* state(const Variable& variable) { return variable.state_.get(); }
  static std::shared_ptr<VariableState> share(const Variable& variable) { return variable.state_; }
};

}  // namespace dehvf
