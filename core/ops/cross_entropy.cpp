#include "core/ops/cross_entropy.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

void check_inputs(const Tensor& hidden, const Tensor& head, const Tensor& targets) {
  check_float("cross_entropy", "hidden", hidden);
  require(hidden.shape().rank() == 2 && head.shape().rank() == 2 && hidden.size(1) == head.size(1),
          "cross_entropy: hidden is ", hidden.shape(), ", head is ", head.shape(),
          ", wanted [rows, width] and [vocab, width]");
  check_like("cross_entropy", "targets", targets, {hidden.size(0)}, DType::i32, hidden.device());
  require<DeviceError>(head.device() == hidden.device(), "cross_entropy: hidden is on ", hidden.device(),
                       ", head on ", head.device());
  if (targets.device() != kCpu) return;
  for (int64_t i = 0; i < targets.count(); ++i) {
    const int32_t target = targets.data<int32_t>()[i];
    require(target >= kNoTarget && target < head.size(0), "cross_entropy: target ", target, " at row ", i,
            ", the vocabulary has ", head.size(0));
  }
}

}  // namespace

Tensor cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets) {
  check_inputs(hidden, head, targets);
  Tensor losses({hidden.size(0)}, statistics_dtype(hidden.dtype()), hidden.device());
  if (Trace* trace = Trace::current())
    trace->add_product(CrossEntropy::name, {1, hidden.size(0), head.size(0), head.size(1)});
  run<CrossEntropy>(hidden.device().kind, hidden, head, targets, losses);
  return losses;
}

void cross_entropy_backward(const Tensor& hidden, const Tensor& head, const Tensor& targets,
                            const Tensor& dlosses, const Tensor& dhidden, const Tensor& dhead) {
  check_inputs(hidden, head, targets);
  check_like("cross_entropy_backward", "dlosses", dlosses, {hidden.size(0)}, statistics_dtype(hidden.dtype()),
             hidden.device());
  if (Trace* trace = Trace::current())
    for (int product = 0; product < 1 + dhidden.defined() + dhead.defined(); ++product)
      trace->add_product(CrossEntropyBackward::name, {1, hidden.size(0), head.size(0), head.size(1)});
  run<CrossEntropyBackward>(hidden.device().kind, hidden, head, targets, dlosses, dhidden, dhead);
}

Tensor argmax_rows(const Tensor& x) {
  check_float("argmax_rows", "x", x);
  require(x.shape().rank() > 0 && x.shape().last() > 0, "argmax_rows: x is ", x.shape(),
          ", wanted at least one column");
  Tensor index({x.shape().rows()}, DType::i32, x.device());
  run<ArgmaxRows>(x.device().kind, x, index);
  return index;
}

}  // namespace dehvf
