// Sees what the ops of a step record, for pictures of the graph.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace dehvf {

/// What is recorded on this thread while it is the innermost watch, up to the first backward(). Segments that
/// are kept are seen through; one that will be recomputed is an op of its own. Nothing of a NoGrad is seen.
class TapeWatch {
 public:
  struct Value {
    std::string name;  // of a parameter or frozen weight; else empty
    Shape shape;
    DType dtype = DType::f32;
    bool wants_grad = false;
    int op = -1;  // that made it
  };
  struct Op {
    std::string name, phase;  // the innermost phase
    std::vector<int> inputs;  // among the values
    int output = -1;
  };

  TapeWatch();
  ~TapeWatch();
  TapeWatch(const TapeWatch&) = delete;
  TapeWatch& operator=(const TapeWatch&) = delete;
  static TapeWatch* current();

  const std::vector<Value>& values() const { return values_; }
  const std::vector<Op>& ops() const { return ops_; }

  // Called by the tape.
  void recorded(std::string_view op, const Variable& result, const std::vector<Variable>& inputs);
  void same(const Variable& leaf, const Variable& input);            // of a segment
  void see_through(const Variable& segment, const Variable& inner);  // the op recorded last is these
  void close() { open_ = false; }

 private:
  int index_of(const Variable& variable);
  std::vector<Value> values_;
  std::vector<Op> ops_;
  std::map<const void*, int> index_;
  std::vector<Variable> held_;  // so that no address is used twice
  bool open_ = true;
  TapeWatch* outer_;
};

}  // namespace dehvf
