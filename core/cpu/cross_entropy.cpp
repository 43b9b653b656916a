#include "core/ops/cross_entropy.h"

#include "core/cpu/chunks.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"

namespace dehvf::cpu {
namespace {

constexpr int64_t kRows = 256;  // logits held at a time

template <class C>
Tensor wide(const Tensor& x) {
  return cast(x, dtype_of<C>());
}

// Makes a row of logits into its probabilities; returns the log of their sum of exponentials.
template <class C>
C normalise(Eigen::Map<Row<C>> logits) {
  const C top = logits.maxCoeff();
  logits = (logits - top).exp();
  const C sum = logits.sum();
  logits *= C(1) / sum;
  return top + std::log(sum);
}

void cross_entropy(const Tensor& hidden, const Tensor& head, const Tensor& targets, const Tensor& losses) {
  visit_float(losses.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    const int64_t vocab = head.size(0);
    const Tensor x = wide<C>(hidden), w = wide<C>(head);
    for (int64_t begin = 0; begin < hidden.size(0); begin += kRows) {
      const int64_t rows = std::min(kRows, hidden.size(0) - begin);
      const Tensor logits({rows, vocab}, dtype_of<C>());
      run<Matmul>(DeviceKind::cpu, x.slice(begin, begin + rows), w, logits,
                  MatmulOptions{.transpose_b = true});
      for_rows(rows, vocab, [&](int64_t i) {
        C& loss = losses.data<C>()[begin + i];
        const int32_t target = targets.data<int32_t>()[begin + i];
        if (target == kNoTarget) return static_cast<void>(loss = 0);
        Row<C> line = Eigen::Map<Row<C>>(logits.data<C>() + i * vocab, vocab);
        const C top = line.maxCoeff();
        loss = top + std::log((line - top).exp().sum()) - line[target];
      });
    }
  });
}

void cross_entropy_backward(const Tensor& hidden, const Tensor& head, const Tensor& targets,
                            const Tensor& dlosses, const Tensor& dhidden, const Tensor& dhead) {
  visit_float(dlosses.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    const int64_t vocab = head.size(0);
    const Tensor x = wide<C>(hidden), w = wide<C>(head);
    const Tensor dw = dhead.defined() ? zeros(head.shape(), dtype_of<C>()) : Tensor();
    for (int64_t begin = 0; begin < hidden.size(0); begin += kRows) {
      const int64_t rows = std::min(kRows, hidden.size(0) - begin);
      const Tensor slopes({rows, vocab}, dtype_of<C>()), part = x.slice(begin, begin + rows);
      run<Matmul>(DeviceKind::cpu, part, w, slopes, MatmulOptions{.transpose_b = true});
      for_rows(rows, vocab, [&](int64_t i) {
        Eigen::Map<Row<C>> line(slopes.data<C>() + i * vocab, vocab);
        const int32_t target = targets.data<int32_t>()[begin + i];
        if (target == kNoTarget) return static_cast<void>(line.setZero());
        normalise<C>(line);
        line[target] -= C(1);
        line *= dlosses.data<C>()[begin + i];
      });
      if (dhidden.defined())
        run<Matmul>(DeviceKind::cpu, slopes, w, dhidden.slice(begin, begin + rows), MatmulOptions{});
      if (dw.defined())
        run<Matmul>(DeviceKind::cpu, slopes, part, dw,
                    MatmulOptions{.transpose_a = true, .accumulate = true});
    }
    if (dw.defined()) copy_into(cast(dw, dhead.dtype()), dhead);
  });
}

void argmax_rows(const Tensor& x, const Tensor& index) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    const int64_t width = x.shape().last();
    for_rows(x.shape().rows(), width, [&](int64_t row) {
      const T* line = x.data<T>() + row * width;
      int64_t best = 0;
      for (int64_t c = 1; c < width; ++c)
        if (Compute<T>(line[c]) > Compute<T>(line[best])) best = c;
      index.data<int32_t>()[row] = int32_t(best);
    });
  });
}

const Provide<CrossEntropy> provide_cross_entropy{{DeviceKind::cpu}, cross_entropy};
const Provide<CrossEntropyBackward> provide_cross_entropy_backward{{DeviceKind::cpu}, cross_entropy_backward};
const Provide<ArgmaxRows> provide_argmax{{DeviceKind::cpu}, argmax_rows};

}  // namespace
}  // namespace dehvf::cpu
