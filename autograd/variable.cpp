#include "autograd/variable.h"

#include "autograd/node.h"
#include "core/ops/check.h"

namespace dehvf {

Variable::Variable(Tensor constant) {
  if (!constant.defined()) return;
  state_ = std::make_shared<VariableState>();
  state_->shape = constant.shape();
  state_->dtype = constant.dtype();
  value_ = std::make_shared<VariableValue>(VariableValue{std::move(constant), {}});
}

Variable Variable::parameter(Tensor value, std::string name) {
  check_float("parameter", name, value);
  Variable leaf(std::move(value));
  leaf.state_->wants_grad = true;
  leaf.state_->grad_dtype = statistics_dtype(leaf.state_->dtype);
  leaf.state_->name = std::move(name);
  return leaf;
}

Variable Variable::frozen(WeightRef source, const Shape& shape, DType dtype, std::string name) {
  Variable leaf;
  leaf.state_ = std::make_shared<VariableState>();
  leaf.value_ = std::make_shared<VariableValue>(VariableValue{{}, std::move(source)});
  leaf.state_->shape = shape;
  leaf.state_->dtype = dtype;
  leaf.state_->name = std::move(name);
  return leaf;
}

namespace {
const VariableState& checked(const std::shared_ptr<VariableState>& state) {
  require<Error>(state != nullptr, "variable: an empty one was used");
  return *state;
}
}  // namespace

Tensor Variable::value() const {
  require<Error>(value_ != nullptr, "variable '", name(), "': the graph keeps no value of it");
  return value_->source ? value_->source() : value_->tensor;
}

const Shape& Variable::shape() const { return checked(state_).shape; }
DType Variable::dtype() const { return checked(state_).dtype; }
DType Variable::grad_dtype() const {
  return checked(state_).node ? dtype() : state_->grad_dtype.value_or(dtype());
}
const std::string& Variable::name() const { return checked(state_).name; }
bool Variable::wants_grad() const { return state_ && state_->wants_grad; }
bool Variable::is_leaf() const { return checked(state_).node == nullptr; }
Tensor Variable::grad() const { return checked(state_).grad; }

void Variable::set_grad(Tensor buffer) const {
  require<Error>(is_leaf() && wants_grad(), "set_grad: '", name(), "' is not a parameter");
  if (buffer.defined()) check_like("set_grad", name(), buffer, shape(), grad_dtype(), device());
  state_->grad = std::move(buffer);
}

void Variable::set_value(Tensor value) const {
  require<Error>(is_leaf() && wants_grad(), "set_value: '", name(), "' is not a parameter");
  check_float("set_value", name(), value);
  require(value.shape() == shape(), "set_value: '", name(), "' is ", shape(), ", found ", value.shape());
  state_->dtype = value.dtype();
  value_->tensor = std::move(value);
}

Variable Variable::detached() const {
  Variable leaf(value());
  leaf.state_->wants_grad = wants_grad();
  leaf.state_->grad_dtype = grad_dtype();
  leaf.state_->name = name();
  return leaf;
}

Variable Variable::without_value() const {
  Variable link = *this;
  link.value_ = nullptr;
  return link;
}

}  // namespace dehvf
