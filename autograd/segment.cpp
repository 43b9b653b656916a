#include "autograd/segment.h"

#include <utility>

#include "autograd/tape_watch.h"
#include "core/error.h"
#include "core/phase.h"

namespace dehvf {
namespace {

using Body = std::function<Variable(std::span<const Variable>)>;

std::vector<Variable> detach_all(std::span<const Variable> inputs) {
  std::vector<Variable> leaves;
  for (const Variable& input : inputs) leaves.push_back(input.is_leaf() ? input : input.detached());
  return leaves;
}

// A block is given every parameter of the operator and uses few of them: the others get nothing, which costs
// nothing. What is computed in front of the segment needs zeros for its own way back.
Grads with_zeros(Grads grads, std::span<const Variable> leaves, const std::vector<bool>& computed,
                 Device device) {
  for (size_t i = 0; i < grads.size(); ++i)
    if (computed[i] && !grads[i].defined())
      grads[i] = zeros(leaves[i].shape(), leaves[i].grad_dtype(), device);
  return grads;
}

// Inputs that want a gradient and are no parameters.
std::vector<bool> computed_of(std::span<const Variable> inputs) {
  std::vector<bool> computed;
  for (const Variable& input : inputs) computed.push_back(input.wants_grad() && !input.is_leaf());
  return computed;
}

// What a kept segment holds between its two passes: both without values.
struct Kept {
  std::vector<Variable> leaves;
  Variable result;
};

}  // namespace

Variable segment(std::string_view name, const Acquire& acquire, Body body, std::vector<Variable> inputs,
                 SegmentMode mode) {
  const Phase phase(name);
  const Lease lease = acquire ? acquire(Pass::forward) : nullptr;
  if (!recording() || !wanted_of(inputs).any()) {
    Variable result = body(inputs);
    require<Error>(!result.wants_grad(), name,
                   ": a parameter is used inside but is not among the segment's inputs");
    return result;
  }
  if (mode == SegmentMode::keep) {
    std::vector<Variable> leaves = detach_all(inputs);
    TapeWatch* const watch = TapeWatch::current();
    for (size_t i = 0; watch && i < leaves.size(); ++i) watch->same(leaves[i], inputs[i]);
    const Variable result = body(leaves);
    if (!result.wants_grad()) return result;  // uses none of those that want one
    for (Variable& leaf : leaves) leaf = leaf.without_value();
    std::vector<bool> computed = computed_of(inputs);
    const auto kept = std::make_shared<Kept>(Kept{std::move(leaves), result.without_value()});
    Variable segment = record(
        name, result.value(), std::move(inputs),
        [kept, acquire, computed](const Tensor& dy, const Wanted&) {
          const Lease held = acquire ? acquire(Pass::backward) : nullptr;
          return with_zeros(gradients(std::exchange(kept->result, {}), dy, kept->leaves), kept->leaves,
                            computed, dy.device());
        },
        /*partial=*/true);
    if (watch) watch->see_through(segment, result);
    return segment;
  }
  Tensor value = [&] {
    const NoGrad no_grad;
    return body(inputs).value();
  }();
  const std::vector<Variable> saved = inputs;
  return record(
      name, std::move(value), std::move(inputs),
      [saved, body, acquire](const Tensor& dy, const Wanted&) {
        const Lease held = acquire ? acquire(Pass::backward) : nullptr;
        const std::vector<Variable> leaves = detach_all(saved);
        return with_zeros(gradients(body(leaves), dy, leaves), leaves, computed_of(saved), dy.device());
      },
      /*partial=*/true);
}

}  // namespace dehvf
