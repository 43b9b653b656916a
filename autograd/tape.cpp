#include "autograd/tape.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "autograd/node.h"
#include "autograd/tape_watch.h"
#include "core/ops/add_each.h"
#include "core/ops/elementwise.h"
#include "core/phase.h"

namespace dehvf {
namespace {

thread_local bool recording_now = true;
thread_local uint64_t next_sequence = 1;

// A gradient on its way: the first contribution is borrowed as it is, the second one makes a sum of our own.
struct Pending {
  std::shared_ptr<VariableState> state;
  Tensor sum;
  bool owned = false;

  void add(const Tensor& contribution) {
    if (!sum.defined()) {
      sum = contribution;
    } else if (owned) {
      add_into(contribution, sum);
    } else {
      sum = dehvf::add(sum, contribution);
      owned = true;
    }
  }
};

class Walk {
 public:
  using Deliver = std::function<void(VariableState&, const Tensor&)>;
  explicit Walk(Deliver deliver) : deliver_(std::move(deliver)) {}

  void run(const Variable& root, const Tensor& upstream) {
    receive(root, upstream);
    while (!waiting_.empty()) {
      const auto last = std::prev(waiting_.end());  // the most recently recorded: all its consumers are done
      const Pending pending = std::move(last->second);
      waiting_.erase(last);
      visit(pending);
    }
  }

 private:
  void visit(const Pending& pending) {
    // Moved out before it is called, so that what the closure keeps is released as the walk goes.
    Node& node = *pending.state->node;
    const Phase phase(node.op);
    require<Error>(node.backward != nullptr, node.op, ": backward ran through this graph already");
    const Backward closure = std::exchange(node.backward, nullptr);
    const std::vector<Variable> inputs = std::move(node.inputs);
    const Grads grads = closure(pending.sum, wanted_of(inputs));
    require<Error>(grads.size() == inputs.size(), node.op, ": ", grads.size(), " gradients for ",
                   inputs.size(), " inputs");
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!inputs[i].wants_grad()) continue;
      const bool passed_over = node.partial && !grads[i].defined();
      receive(inputs[i], passed_over ? Tensor() : checked(node.op, i, inputs[i], grads[i]));
    }
  }

  // In the input's grad_dtype: ops return what they computed, and this is where it is rounded or widened.
  static Tensor checked(std::string_view op, size_t index, const Variable& input, const Tensor& grad) {
    require<Error>(grad.defined(), op, ": no gradient for input ", index, ", which wants one");
    require(grad.shape() == input.shape(), op, ": gradient of input ", index, " is ", grad.shape(),
            ", wanted ", input.shape());
    return cast(grad, input.grad_dtype());
  }

  void receive(const Variable& variable, const Tensor& grad) {
    VariableState* const state = Node::state(variable);
    if (!state->node) return grad.defined() ? deliver_(*state, grad) : void();
    Pending& pending = waiting_[state->node->sequence];
    if (!pending.state) pending.state = Node::share(variable);
    if (grad.defined()) pending.add(grad);
  }

  Deliver deliver_;
  std::map<uint64_t, Pending> waiting_;
};

void check_upstream(const Variable& root, const Tensor& upstream) {
  require(upstream.defined() && upstream.shape() == root.shape() && upstream.dtype() == root.dtype(),
          "backward: upstream gradient is ", upstream.dtype(), " ", upstream.shape(), ", wanted ",
          root.dtype(), " ", root.shape());
}

// Gradients of parameters on their way to the sums, in batches: one by one they would be hundreds of
// launches.
class Deliveries {
 public:
  void add(VariableState& leaf, const Tensor& gradient) {
    if (!leaf.grad.defined()) {
      leaf.grad = gradient.clone();
      return;
    }
    held_.push_back({gradient, leaf.grad});
    bytes_ += gradient.bytes();
    if (bytes_ > kMost) deliver();
  }
  void deliver() {
    add_each(held_);
    held_.clear(), bytes_ = 0;
  }

 private:
  static constexpr size_t kMost = 64 << 20;  // what may wait
  std::vector<Addition> held_;
  size_t bytes_ = 0;
};

}  // namespace

bool Wanted::any() const { return std::ranges::find(flags_, true) != flags_.end(); }

Wanted wanted_of(std::span<const Variable> inputs) {
  std::vector<bool> flags;
  for (const Variable& input : inputs) flags.push_back(input.wants_grad());
  return Wanted(std::move(flags));
}

NoGrad::NoGrad() : previous_(recording_now) { recording_now = false; }
NoGrad::~NoGrad() { recording_now = previous_; }
bool recording() { return recording_now; }

Variable record(std::string_view op, Tensor value, std::vector<Variable> inputs, Backward backward,
                bool partial) {
  Variable result(std::move(value));
  if (!recording_now) return result;
  VariableState& state = *Node::state(result);
  state.wants_grad = wanted_of(inputs).any();
  if (TapeWatch* watch = TapeWatch::current()) watch->recorded(op, result, inputs);
  if (!state.wants_grad) return result;
  for (Variable& input : inputs) input = input.without_value();
  state.name = op;
  state.node =
      std::make_shared<Node>(Node{next_sequence++, op, std::move(inputs), std::move(backward), partial});
  return result;
}

void backward(const Variable& root, Tensor upstream) {
  require<Error>(root.wants_grad(), "backward: nothing that was recorded leads to a parameter");
  if (TapeWatch* watch = TapeWatch::current()) watch->close();
  if (!upstream.defined()) upstream = full(root.shape(), 1, root.dtype(), root.device());
  check_upstream(root, upstream);
  Deliveries deliveries;
  Walk([&](VariableState& leaf, const Tensor& gradient) {
    deliveries.add(leaf, gradient);
  }).run(root, upstream);
  deliveries.deliver();
}

Grads gradients(const Variable& root, const Tensor& upstream, std::span<const Variable> leaves) {
  check_upstream(root, upstream);
  std::unordered_map<VariableState*, Pending> sums;
  for (const Variable& leaf : leaves)
    if (leaf.wants_grad()) sums.try_emplace(Node::state(leaf));
  Walk walk([&](VariableState& leaf, const Tensor& grad) {
    const auto found = sums.find(&leaf);
    require<Error>(found != sums.end(), "segment: parameter '", leaf.name,
                   "' is used inside but is not among the segment's inputs");
    found->second.add(grad);
  });
  if (root.wants_grad()) walk.run(root, upstream);
  Grads result;
  for (const Variable& leaf : leaves) {
    const auto found = sums.find(Node::state(leaf));
    result.push_back(found == sums.end() ? Tensor() : found->second.sum);
  }
  return result;
}

}  // namespace dehvf
