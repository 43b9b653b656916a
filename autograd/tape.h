// Recording and walking the graph of one step. A differentiable op is a free function that computes its value
// with core ops and records a closure; backward() visits the nodes in the reverse order of recording.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "autograd/variable.h"

namespace dehvf {

/// Which inputs want a gradient: closures compute nothing else.
class Wanted {
 public:
  explicit Wanted(std::vector<bool> flags) : flags_(std::move(flags)) {}
  bool operator[](size_t input) const { return flags_[input]; }
  bool any() const;

 private:
  std::vector<bool> flags_;
};

using Grads = std::vector<Tensor>;  // one per input; empty where not wanted
using Backward = std::function<Grads(const Tensor& dy,
                                     const Wanted& wanted)>;  // dy is empty if only partial nodes lead here

/// The result of an op: `value`, linked to `inputs` when one of them wants a gradient and recording is on.
/// `op` must outlive the graph (a string literal). Of values the graph keeps alive what the closure captures,
/// and no input. With `partial` the closure may leave out wanted gradients: the input is then visited all the
/// same, as with a zero contribution (pieces of a split).
Variable record(std::string_view op, Tensor value, std::vector<Variable> inputs, Backward backward,
                bool partial = false);

/// What record() will ask of the closure: to decide before computing what has to be kept.
Wanted wanted_of(std::span<const Variable> inputs);

/// While it lives nothing is recorded on this thread (evaluation, recomputed segments).
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};
bool recording();

/// Adds d(sum(root * upstream))/d(leaf) to the gradient of every leaf that wants one and consumes the graph.
/// `upstream` defaults to ones. Contributions to one variable are added in the reverse order of recording.
/// Every gradient is checked against its input's shape, the error names the op, and cast to its grad_dtype.
void backward(const Variable& root, Tensor upstream = {});

/// Gradients of `root` for `leaves` only, returned instead of added (empty for one that was not reached); any
/// other parameter that is reached is an error naming it. Neither needs its value. Used by segment().
Grads gradients(const Variable& root, const Tensor& upstream, std::span<const Variable> leaves);

}  // namespace dehvf
