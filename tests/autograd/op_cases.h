// The one description of an op for tests: inputs, the op on Variables, what it means in f64, and how many
// additions stand behind one output. op_test.cpp derives all its checks from it; bench/ reuses the cases at
// model sizes.
#pragma once

#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace dehvf {

struct OpInput {
  std::string name;
  Shape shape;
  double low = -1, high = 1;  // drawn uniformly
  bool wants_grad = true;
  std::vector<int32_t> indices = {};  // not empty: an i32 tensor with exactly these values
  bool statistics = false;            // f32 (f64) whatever the dtype of the case, as losses and sums are
};

using Op = std::function<Variable(std::span<const Variable>)>;

struct OpCase {
  std::string name;
  std::vector<OpInput> inputs;
  Op op;
  Op reference;          // called with f64 constants only for values; composed of basic ops or plain loops
  double additions = 1;  // K of contracts.md 9
  double magnitude = 0;  // ||a|| ||b|| of contracts.md 9; 0 takes the largest |reference|
  int stores = 1;        // explicit roundings to the storage dtype on the way to an output
  bool low_precision = true;  // also in bf16 and f16
  double step = 1e-5;         // of the central differences
};

inline std::ostream& operator<<(std::ostream& out, const OpCase& c) { return out << c.name; }

std::vector<OpCase>& op_cases();

struct AddCase {
  explicit AddCase(OpCase c) { op_cases().push_back(std::move(c)); }
};

/// A reference written as a loop over f64 elements: `fn` receives the inputs' elements and fills the output.
using Doubles = std::vector<std::span<const double>>;
Op plain(const Shape& shape, std::function<void(const Doubles& in, std::span<double> out)> fn);

}  // namespace dehvf
