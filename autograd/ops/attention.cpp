#include "autograd/ops/attention.h"

#include "core/ops/elementwise.h"

namespace dehvf {

Variable attention(const Variable& q, const Variable& k, const Variable& v, const Tensor& spans,
                   const AttentionOptions& options) {
  const Tensor kept_q = q.value(), kept_k = k.value(), kept_v = v.value();
  const Attended attended = attention(kept_q, kept_k, kept_v, spans, options);
  return record("attention", attended.out, {q, k, v},
                [=, types = std::array{q.grad_dtype(), k.grad_dtype(), v.grad_dtype()}](
                    const Tensor& dy, const Wanted& wanted) {
                  const AttentionGrads all =
                      attention_backward(kept_q, kept_k, kept_v, spans, options, attended, dy);
                  return Grads{wanted[0] ? cast(all.q, types[0]) : Tensor(),
                               wanted[1] ? cast(all.k, types[1]) : Tensor(),
                               wanted[2] ? cast(all.v, types[2]) : Tensor()};
                });
}

}  // namespace dehvf
