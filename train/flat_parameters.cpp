#include "train/flat_parameters.h"

#include <algorithm>
#include <set>

#include "core/ops/check.h"
#include "core/ops/elementwise.h"

namespace dehvf {

FlatParameters::FlatParameters(Module& module, DType working) {
  const PurposeScope scope(Purpose::parameters);
  const auto trainable = trainable_of(module);
  require<ConfigError>(!trainable.empty(), "training: nothing is trainable");
  int64_t count = 0;
  std::set<const Parameter*> seen;
  for (const auto& named : trainable) {
    require<Error>(seen.insert(named.parameter).second, "training: parameter ", named.path,
                   " is described twice");
    const Shape& shape = named.parameter->shape();
    ranges_.push_back({named.path, shape, count, count + shape.count()});
    count += shape.count();
  }
  const Variable& first = trainable[0].parameter->variable();
  const auto flat = [&] { return zeros({count}, first.dtype(), first.device()); };
  buffers_ = {flat(), flat(), flat(), flat(), {}};
  buffers_.decay = zeros({count}, DType::u8, first.device());
  for (size_t i = 0; i < trainable.size(); ++i) {
    const Range& range = ranges_[i];
    const Variable& variable = trainable[i].parameter->variable();
    const Tensor value = view(buffers_.value, range);
    check_like("training", range.path, variable.value(), range.shape, first.dtype(), first.device());
    copy_into(variable.value(), value);
    variable.set_value(value);
    variables_.push_back(variable);
    variable.set_grad(view(buffers_.gradient, range));
    if (range.shape.rank() <= 1) continue;
    const Tensor matrix = buffers_.decay.slice(range.begin, range.end);
    backend(first.device()).fill_bytes(matrix.raw(), 1, matrix.bytes(), current_stream(first.device()));
  }
  if (working != DType::bf16 && working != DType::f16) return;
  buffers_.working = cast(buffers_.value, working);
  for (size_t i = 0; i < ranges_.size(); ++i) variables_[i].set_value(view(buffers_.working, ranges_[i]));
}

void FlatParameters::refresh_working() const {
  if (buffers_.working.defined()) copy_into(cast(buffers_.value, buffers_.working.dtype()), buffers_.working);
}

void FlatParameters::show_values() const {
  for (size_t i = 0; i < ranges_.size(); ++i) variables_[i].set_value(view(buffers_.value, ranges_[i]));
}

Tensor FlatParameters::view(const Tensor& buffer, const Range& range) const {
  return buffer.slice(range.begin, range.end).reshape(range.shape);
}

const std::string& FlatParameters::path_at(int64_t index) const {
  const auto after = std::ranges::upper_bound(ranges_, index, {}, &Range::begin);
  return std::prev(after)->path;
}

}  // namespace dehvf
