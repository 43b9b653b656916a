#include "autograd/ops/visual_rows.h"

namespace dehvf {
namespace {

enum Input : size_t { kX, kSlotKeys, kSlotValues, kImageKeys, kImageValues, kBasis, kBias, kResidual };

std::vector<Variable> inputs_of(const Variable& x, const VisualRows& rows, const Variable& residual) {
  return {x,          rows.slot_keys, rows.slot_values, rows.image_keys, rows.image_values,
          rows.basis, rows.bias,      residual};
}

Tensor value(const Variable& v) { return v.defined() ? v.value() : Tensor(); }

VisualRowsTensors values_of(const VisualRows& rows) {
  return {value(rows.slot_keys),    value(rows.slot_values), value(rows.image_keys),
          value(rows.image_values), value(rows.basis),       value(rows.bias)};
}

}  // namespace

Variable visual_rows(const Variable& x, const VisualRows& rows, const Variable& residual) {
  const VisualRowsResult result = visual_rows(x.value(), values_of(rows), rows.plan, value(residual));
  const std::vector<Variable> inputs = inputs_of(x, rows, residual);
  const Wanted wants = wanted_of(inputs);
  const bool reads_x = wants[kSlotKeys] || wants[kImageKeys] || wants[kBasis] || wants[kBias];
  return record("visual_rows", result.output, inputs,
                [kept = reads_x ? x.value() : Tensor(), rows, scores = result.scores](const Tensor& dy,
                                                                                      const Wanted& wanted) {
                  // x is needed for its shape only, which is dy's.
                  const std::vector<Variable> all = inputs_of({}, rows, {});
                  Grads g(all.size());
                  if (wanted[kResidual]) g[kResidual] = dy;
                  for (size_t i = 0; i < kResidual; ++i)
                    if (wanted[i])
                      g[i] = Tensor(i == kX ? dy.shape() : all[i].shape(),
                                    i == kX ? dy.dtype() : all[i].grad_dtype(), dy.device());
                  visual_rows_backward(
                      kept, values_of(rows), rows.plan, scores, dy, g[kX],
                      {g[kSlotKeys], g[kSlotValues], g[kImageKeys], g[kImageValues], g[kBasis], g[kBias]});
                  return g;
                });
}

}  // namespace dehvf
