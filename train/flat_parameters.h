// All trainable parameters of a module in four flat buffers: zeroing is one fill, the optimizer one kernel, a
// checkpoint one set of ranges. Each parameter becomes a view of them.
#pragma once

#include <string>
#include <vector>

#include "core/ops/optimizer.h"
#include "layers/module.h"

namespace dehvf {

class FlatParameters {
 public:
  struct Range {
    std::string path;
    Shape shape;
    int64_t begin, end;
  };

  /// Lays out what is trainable now, in the order of description. One-dimensional parameters have no weight
  /// decay. Throws ConfigError when nothing is trainable, Error when a parameter is described twice or has
  /// another dtype or device than the first. The module must outlive this.
  /// With `working` bf16 or f16 each parameter shows a rounded copy, which the optimizer refreshes.
  explicit FlatParameters(Module& module, DType working = DType::f32);

  const AdamWBuffers& buffers() const { return buffers_; }
  const std::vector<Range>& ranges() const { return ranges_; }
  int64_t count() const { return buffers_.value.count(); }
  Tensor view(const Tensor& buffer, const Range& range) const;  // the range's part of one of the buffers
  void refresh_working() const;  // after the values were changed by other means than the optimizer
  void show_values() const;      // the parameters view the f32 values from now on, to be saved
  void zero_gradients() const { fill(buffers_.gradient, 0); }
  /// The parameter that holds flat element `index`.
  const std::string& path_at(int64_t index) const;

 private:
  AdamWBuffers buffers_;
  std::vector<Range> ranges_;
  std::vector<Variable> variables_;
};

}  // namespace dehvf
