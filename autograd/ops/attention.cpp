#include "autograd/ops/attention.h"

namespace dehvf {

Variable attention(const Variable& q, const Variable& k, const Variable& v, const Tensor& spans,
                   const AttentionOptions& options) {
  const Tensor kept_q = q.value(), kept_k = k.value(), kept_v = v.value();
  const Attended attended = attention(kept_q, kept_k, kept_v, spans, options);
  return record("attention", attended.out, {q, k, v}, [=](const Tensor& dy, const Wanted& wanted) {
    const auto like = [](const Tensor& x, bool wants) {
      return wants ? Tensor(x.shape(), x.dtype(), x.device()) : Tensor();
    };
    const AttentionGrads grads{like(kept_q, wanted[0]), like(kept_k, wanted[1]), like(kept_v, wanted[2])};
    attention_backward(kept_q, kept_k, kept_v, spans, options, attended, dy, grads);
    return Grads{grads.q, grads.k, grads.v};
  });
}

}  // namespace dehvf
