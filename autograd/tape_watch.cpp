#include "autograd/tape_watch.h"

#include "autograd/node.h"
#include "core/phase.h"

namespace dehvf {
namespace {

thread_local TapeWatch* current_watch = nullptr;

}  // namespace

TapeWatch::TapeWatch() : outer_(current_watch) { current_watch = this; }
TapeWatch::~TapeWatch() { current_watch = outer_; }
TapeWatch* TapeWatch::current() {
  return current_watch != nullptr && current_watch->open_ ? current_watch : nullptr;
}

int TapeWatch::index_of(const Variable& variable) {
  const VariableState* state = Node::state(variable);
  const auto [at, is_new] = index_.try_emplace(state, int(values_.size()));
  if (is_new) {
    held_.push_back(variable.without_value());
    values_.push_back({state->name, state->shape, state->dtype, state->wants_grad});
  }
  return at->second;
}

void TapeWatch::recorded(std::string_view op, const Variable& result, const std::vector<Variable>& inputs) {
  const std::string path = Phase::path();
  const size_t last = path.rfind(" > ");
  Op made{.name = std::string(op), .phase = last == std::string::npos ? path : path.substr(last + 3)};
  for (const Variable& input : inputs)
    if (input.defined()) made.inputs.push_back(index_of(input));
  made.output = index_of(result);
  Value& value = values_[size_t(made.output)];
  value.name.clear();
  value.op = int(ops_.size());
  ops_.push_back(std::move(made));
}

void TapeWatch::same(const Variable& leaf, const Variable& input) {
  const int index = index_of(input);
  if (index_.try_emplace(Node::state(leaf), index).second) held_.push_back(leaf.without_value());
}

void TapeWatch::see_through(const Variable& segment, const Variable& inner) {
  index_[Node::state(segment)] = index_of(inner);
  ops_.pop_back();
}

}  // namespace dehvf
