#include "autograd/ops/fuser.h"

namespace dehvf {

Variable fuser(const Variable& levels, std::span<const Variable> parameters, const FuserPlan& plan) {
  std::vector<Variable> inputs{levels};
  std::vector<Tensor> values;
  for (const Variable& parameter : parameters) {
    inputs.push_back(parameter);
    values.push_back(parameter.value());
  }
  const Tensor l = levels.value();
  Tensor weights = fuser(l, values, plan);
  return record("fuser", std::move(weights), std::move(inputs),
                [l, values, plan](const Tensor& dy, const Wanted& wanted) {
                  Grads grads(values.size() + 1);
                  if (wanted[0]) grads[0] = Tensor(l.shape(), DType::f32, l.device());
                  for (size_t i = 0; i < values.size(); ++i)
                    if (wanted[i + 1]) grads[i + 1] = Tensor(values[i].shape(), DType::f32, l.device());
                  fuser_backward(l, values, plan, dy, grads[0], std::span(grads).subspan(1));
                  return grads;
                });
}

}  // namespace dehvf
