#include "layers/module.h"

#include <cmath>

#include "core/ops/check.h"
#include "core/ops/elementwise.h"
#include "core/random.h"

namespace dehvf {
namespace {

class Collector : public Describer {
 public:
  std::vector<NamedParameter> found;

 private:
  void visit(const std::string& path, Parameter& parameter) override { found.push_back({path, &parameter}); }
};

uint64_t hash_of(std::string_view path) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : path) hash = (hash ^ uint8_t(c)) * 0x100000001b3;
  return hash;
}

Tensor initial_value(const NamedParameter& named, uint64_t seed, DType dtype) {
  const Shape& shape = named.parameter->shape();
  if (named.parameter->begins_at_value()) return cast(named.parameter->value(), dtype);
  const Initial& initial = named.parameter->initial();
  const uint64_t key = random_key({seed, hash_of(named.path)});
  switch (initial.kind) {
    case Initial::Kind::zeros:
      return zeros(shape, dtype);
    case Initial::Kind::ones:
      return full(shape, 1, dtype);
    case Initial::Kind::normal:
      return random_normal(shape, initial.deviation, key, dtype);
    case Initial::Kind::xavier: {
      const double limit = std::sqrt(6.0 / (double(shape[0]) + double(shape.count()) / double(shape[0])));
      return random_uniform(shape, -limit, limit, key, dtype);
    }
  }
  fail<Error>("initialise: unknown kind for ", named.path);
}

}  // namespace

const Variable& Parameter::variable() const {
  require<Error>(variable_.defined(), "parameter ", shape_, ": used before it was initialised or loaded");
  return variable_;
}

void Parameter::check(const Tensor& value, const std::string& path) const {
  require(value.shape() == shape_, "parameter ", path, ": wanted ", shape_, ", found ", value.shape());
}

void Parameter::set_trainable(Tensor value, std::string path) {
  check(value, path);
  require<DTypeError>(value.dtype() == statistics_dtype(value.dtype()), "parameter ", path,
                      ": a trainable one is f32 (f64 in checks), found ", value.dtype());
  variable_ = Variable::parameter(std::move(value), std::move(path));
}

void Parameter::set_frozen(const Tensor& value, std::string path) {
  check(value, path);
  variable_ = Variable::frozen([value] { return value; }, value.shape(), value.dtype(), std::move(path));
}

void Parameter::set_leased(WeightRef source, DType dtype, std::string path) {
  variable_ = Variable::frozen(std::move(source), shape_, dtype, std::move(path));
}

void Describer::child(std::string_view name, Module& module) {
  const size_t length = prefix_.size();
  prefix_ += std::string(name) + '.';
  module.describe(*this);
  prefix_.resize(length);
}

std::vector<NamedParameter> parameters_of(Module& module) {
  Collector collector;
  module.describe(collector);
  return std::move(collector.found);
}

std::vector<NamedParameter> trainable_of(Module& module) {
  auto all = parameters_of(module);
  std::erase_if(all, [](const NamedParameter& named) {
    return !named.parameter->defined() || !named.parameter->trainable();
  });
  return all;
}

std::vector<Variable> trainable_variables(Module& module) {
  std::vector<Variable> result;
  for (const auto& named : trainable_of(module)) result.push_back(named.parameter->variable());
  return result;
}

int64_t count_elements(Module& module) {
  int64_t count = 0;
  for (const auto& named : parameters_of(module)) count += named.parameter->shape().count();
  return count;
}

void initialise(Module& module, uint64_t seed, DType dtype) {
  const PurposeScope scope(Purpose::parameters);
  for (const auto& named : parameters_of(module))
    named.parameter->set_trainable(initial_value(named, seed, dtype), named.path);
}

void freeze(Module& module) {
  for (const auto& named : parameters_of(module))
    named.parameter->set_frozen(named.parameter->value(), named.path);
}

void move_to(Module& module, Device device) {
  for (const auto& [path, parameter] : parameters_of(module)) {
    if (!parameter->defined() || parameter->value().device() == device) continue;
    const Tensor moved = parameter->value().to(device);
    parameter->trainable() ? parameter->set_trainable(moved, path) : parameter->set_frozen(moved, path);
  }
}

void place_on_plan(Module& module, DType dtype, bool trainable) {
  const PurposeScope scope(trainable ? Purpose::parameters : Purpose::weights);
  load_parameters(
      module,
      [&](const std::string&, const Shape& shape) {
        return Tensor(shape, trainable ? DType::f32 : dtype, kPlan);
      },
      trainable);
}

void load_parameters(Module& module, const std::function<Tensor(const std::string&, const Shape&)>& lookup,
                     bool trainable) {
  for (const auto& [path, parameter] : parameters_of(module)) {
    Tensor value = lookup(path, parameter->shape());
    if (trainable)
      parameter->set_trainable(std::move(value), path);
    else
      parameter->set_frozen(value, path);
  }
}

}  // namespace dehvf
