// A Module names its parameters and children in one virtual call; counting, saving, loading and feeding the
// optimizer are visitors of it, so paths such as fuser.blocks.0.mlp.up.weight come out of one place.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/variable.h"

namespace dehvf {

/// How a parameter begins.
struct Initial {
  enum class Kind : uint8_t { zeros, ones, normal, xavier };
  Kind kind = Kind::zeros;
  double deviation = 0.02;  // of normal; xavier is uniform in +-sqrt(6 / (in + out))
};

/// A named place for a tensor of known shape: nothing is allocated until it is given a value. Trainable ones
/// are f32 with an f32 gradient, frozen ones have any dtype and may be there only while leased.
class Parameter {
 public:
  Parameter(const Shape& shape, Initial initial) : shape_(shape), initial_(initial) {}

  const Shape& shape() const { return shape_; }
  const Initial& initial() const { return initial_; }
  bool defined() const { return variable_.defined(); }
  bool trainable() const { return variable_.wants_grad(); }
  const Variable& variable() const;                        // throws when no value was given yet
  operator const Variable&() const { return variable(); }  // NOLINT(google-explicit-constructor)
  Tensor value() const { return variable().value(); }
  /// Training then begins at the value that was given before, not at the initial one.
  void begin_at_value() { begins_at_value_ = true; }
  bool begins_at_value() const { return begins_at_value_; }

  void set_trainable(Tensor value, std::string path);
  void set_frozen(const Tensor& value, std::string path);  // resident bytes
  void set_leased(WeightRef source, DType dtype, std::string path);

 private:
  void check(const Tensor& value, const std::string& path) const;
  Shape shape_;
  Initial initial_;
  bool begins_at_value_ = false;
  Variable variable_;
};

class Module;

/// Receives what a module names. Child and parameter names are joined by dots.
class Describer {
 public:
  virtual ~Describer() = default;
  void parameter(std::string_view name, Parameter& parameter) {
    visit(prefix_ + std::string(name), parameter);
  }
  void child(std::string_view name, Module& module);

 protected:
  virtual void visit(const std::string& path, Parameter& parameter) = 0;

 private:
  std::string prefix_;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual void describe(Describer& describer) = 0;
};

struct NamedParameter {
  std::string path;
  Parameter* parameter;
};

std::vector<NamedParameter> parameters_of(Module& module);  // in the order of description
std::vector<NamedParameter> trainable_of(Module& module);   // those that have a value and want a gradient
std::vector<Variable> trainable_variables(Module& module);  // the same
int64_t count_elements(Module& module);                     // by shape; nothing needs to be allocated

/// Gives every parameter a trainable f32 value (`dtype` for f64 checks) by its Initial; the numbers depend on
/// seed and path alone.
void initialise(Module& module, uint64_t seed, DType dtype = DType::f32);
/// Turns every parameter into a frozen tensor of the same bytes.
void freeze(Module& module);
/// Moves every parameter that has a value; trainable ones become new variables there.
void move_to(Module& module, Device device);
/// Gives every parameter a place on the plan, without a value: f32 if trainable.
void place_on_plan(Module& module, DType dtype, bool trainable);
/// Sets every parameter from lookup(path, shape), as trainable or frozen; `lookup` throws when it has none.
void load_parameters(Module& module, const std::function<Tensor(const std::string&, const Shape&)>& lookup,
                     bool trainable);

}  // namespace dehvf
