// Attention by (span, kv head) tasks. Scores of a block of queries against all keys of the span stand in
// scratch; backward makes them again from the log-sum-exp.
#include "core/ops/attention.h"

#include <numeric>
#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class C>
using Matrix = Eigen::Matrix<C, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class C>
using Strided = Eigen::Map<Matrix<C>, 0, Eigen::OuterStride<>>;
template <class C>
using ConstStrided = Eigen::Map<const Matrix<C>, 0, Eigen::OuterStride<>>;
template <class C>
using Block = Eigen::Map<Matrix<C>>;

constexpr int64_t kQueries = 128;  // rows of scores held at a time

struct Span {
  int64_t q, q_count, k, k_count;
};

std::vector<Span> read_spans(const Tensor& spans) {
  std::vector<Span> result;
  for (int64_t s = 0; s < spans.size(0); ++s) {
    const int32_t* span = spans.data<int32_t>() + 4 * s;
    if (span[1] > 0 || span[3] > 0) result.push_back({span[0], span[1], span[2], span[3]});
  }
  return result;
}

// Tensors in the type they are computed in, converted where they are stored in 16 bits.
template <class T>
class Wide {
 public:
  using C = Compute<T>;
  explicit Wide(const Tensor& tensor) {
    if constexpr (kDirect<T>) {
      data_ = tensor.data<T>();
    } else {
      copy_.resize(size_t(tensor.count()));
      for (int64_t i = 0; i < tensor.count(); ++i) copy_[size_t(i)] = float(tensor.data<T>()[i]);
      data_ = copy_.data();
    }
  }
  const C* data() const { return data_; }

 private:
  Aligned<C> copy_;
  const C* data_;
};

// Results, accumulated wide and rounded once; they begin as zeros. Null for an empty tensor.
template <class T>
class WideOut {
 public:
  using C = Compute<T>;
  explicit WideOut(const Tensor& tensor) : tensor_(tensor) {
    if (!tensor) return;
    if constexpr (kDirect<T>)
      data_ = tensor.data<T>();
    else
      copy_.resize(size_t(tensor.count())), data_ = copy_.data();
    std::fill_n(data_, tensor.count(), C(0));
  }
  C* data() const { return data_; }
  void round() const {
    if constexpr (!kDirect<T>)
      for (int64_t i = 0; tensor_ && i < tensor_.count(); ++i) tensor_.data<T>()[i] = T(copy_[size_t(i)]);
  }

 private:
  Tensor tensor_;
  Aligned<C> copy_;
  C* data_ = nullptr;
};

// How many keys query `row` of a span sees.
int64_t visible(const Span& span, int64_t row, bool causal) {
  return causal ? std::clamp<int64_t>(span.k_count - span.q_count + row + 1, 0, span.k_count) : span.k_count;
}

template <class C>
C* scratch(int64_t count, int which) {
  thread_local Aligned<C> buffers[3];
  auto& buffer = buffers[which];
  if (int64_t(buffer.size()) < count) buffer.resize(size_t(count));
  return buffer.data();
}

// One head of one span: views of its rows in [rows, heads, dim] tensors.
template <class C>
struct Head {
  const Span& span;
  int64_t dim, heads, head, kv_heads, kv_head;
  C scale;
  bool causal;

  ConstStrided<C> queries(const C* q, int64_t row, int64_t rows) const {
    return {q + ((span.q + row) * heads + head) * dim, rows, dim, Eigen::OuterStride<>(heads * dim)};
  }
  Strided<C> queries(C* q, int64_t row, int64_t rows) const {
    return {q + ((span.q + row) * heads + head) * dim, rows, dim, Eigen::OuterStride<>(heads * dim)};
  }
  ConstStrided<C> keys(const C* k, int64_t count) const {
    return {k + (span.k * kv_heads + kv_head) * dim, count, dim, Eigen::OuterStride<>(kv_heads * dim)};
  }
  Strided<C> keys(C* k, int64_t count) const {
    return {k + (span.k * kv_heads + kv_head) * dim, count, dim, Eigen::OuterStride<>(kv_heads * dim)};
  }
};

// c (+)= a b, without the set-up of a blocked product where the sizes are tiny.
template <class Out, class A, class B>
void multiply(Out&& c, const A& a, const B& b, bool accumulate) {
  const bool tiny = a.rows() * a.cols() * b.cols() < 4096;
  if (accumulate) {
    if (tiny)
      c += a.lazyProduct(b);
    else
      c.noalias() += a * b;
  } else {
    if (tiny)
      c = a.lazyProduct(b);
    else
      c.noalias() = a * b;
  }
}

template <class C>
void forward_head(const Head<C>& h, const C* q, const C* k, const C* v, C* out, C* lse) {
  for (int64_t row = 0; row < h.span.q_count; row += kQueries) {
    const int64_t rows = std::min(kQueries, h.span.q_count - row),
                  keys = visible(h.span, row + rows - 1, h.causal);
    if (keys == 0) {
      std::fill_n(lse + h.span.q + row, rows, -std::numeric_limits<C>::infinity());
      continue;
    }
    Block<C> scores(scratch<C>(rows * keys, 0), rows, keys);
    multiply(scores, h.queries(q, row, rows), h.keys(k, keys).transpose(), false);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t seen = visible(h.span, row + i, h.causal);
      auto line = scores.row(i).array();
      line.tail(keys - seen).setZero();
      C& log_sum = lse[h.span.q + row + i];
      if (seen == 0) {
        log_sum = -std::numeric_limits<C>::infinity();
        continue;
      }
      const C top = line.head(seen).maxCoeff() * h.scale;
      line.head(seen) = (line.head(seen) * h.scale - top).exp();
      const C sum = line.head(seen).sum();
      line.head(seen) *= C(1) / sum;
      log_sum = top + std::log(sum);
    }
    multiply(h.queries(out, row, rows), scores, h.keys(v, keys), false);
  }
}

template <class C>
struct Pointers {
  const C *q, *k, *v, *out, *lse, *dout;
  C *dq, *dk, *dv;  // null where not wanted
};

template <class C>
void backward_head(const Head<C>& h, const Pointers<C>& p) {
  const C* lse = p.lse;
  for (int64_t row = 0; row < h.span.q_count; row += kQueries) {
    const int64_t rows = std::min(kQueries, h.span.q_count - row),
                  keys = visible(h.span, row + rows - 1, h.causal);
    if (keys == 0) continue;
    Block<C> weights(scratch<C>(rows * keys, 0), rows, keys), slopes(scratch<C>(rows * keys, 1), rows, keys);
    const auto q = h.queries(p.q, row, rows), dout = h.queries(p.dout, row, rows),
               out = h.queries(p.out, row, rows);
    multiply(weights, q, h.keys(p.k, keys).transpose(), false);
    multiply(slopes, dout, h.keys(p.v, keys).transpose(), false);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t seen = visible(h.span, row + i, h.causal);
      auto w = weights.row(i).array();
      auto s = slopes.row(i).array();
      w.head(seen) = (w.head(seen) * h.scale - lse[h.span.q + row + i]).exp();
      const C dot = out.row(i).dot(dout.row(i));  // sum over keys of weight times its gradient
      s.head(seen) = w.head(seen) * (s.head(seen) - dot) * h.scale;
      w.tail(keys - seen).setZero();
      s.tail(keys - seen).setZero();
    }
    if (p.dv) multiply(h.keys(p.dv, keys), weights.transpose(), dout, true);
    if (p.dk) multiply(h.keys(p.dk, keys), slopes.transpose(), q, true);
    if (p.dq) multiply(h.queries(p.dq, row, rows), slopes, h.keys(p.k, keys), false);
  }
}

// Whether two spans read a common key: then their gradients of it must not be added at the same time.
bool keys_overlap(std::vector<Span> spans) {
  std::ranges::sort(spans, {}, &Span::k);
  for (size_t s = 1; s < spans.size(); ++s)
    if (spans[s].k < spans[s - 1].k + spans[s - 1].k_count) return true;
  return false;
}

// body(span, kv head) for all pairs; where keys overlap only the heads run side by side.
template <class Body>
void for_tasks(const std::vector<Span>& spans, int64_t kv_heads, bool by_head_only, const Body& body) {
  if (by_head_only)
    return parallel_for(kv_heads, [&](int64_t head) {
      for (const Span& span : spans) body(span, head);
    });
  int64_t work = 1;
  for (const Span& span : spans) work += span.q_count * span.k_count;
  const int64_t per_span = std::max<int64_t>(1, work / std::max<int64_t>(1, int64_t(spans.size())));
  const int64_t pairs = int64_t(spans.size()) * kv_heads;
  parallel_ranges(pairs, std::max<int64_t>(1, 8192 / per_span), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(spans[size_t(i / kv_heads)], i % kv_heads);
  });
}

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans_tensor,
               const AttentionOptions& options, const Tensor& out, const Tensor& lse) {
  visit_float(q.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    const Wide<T> wide_q(q), wide_k(k), wide_v(v);
    const WideOut<T> wide_out(out);
    std::fill_n(lse.data<C>(), lse.count(), -std::numeric_limits<C>::infinity());
    const int64_t heads = q.size(1), kv_heads = k.size(1), group = heads / kv_heads;
    for_tasks(read_spans(spans_tensor), kv_heads, false, [&](const Span& span, int64_t kv_head) {
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
        forward_head<C>({span, q.size(2), heads, head, kv_heads, kv_head, C(options.scale), options.causal},
                        wide_q.data(), wide_k.data(), wide_v.data(), wide_out.data(),
                        lse.data<C>() + head * q.size(0));
    });
    wide_out.round();
  });
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans_tensor,
                        const AttentionOptions& options, const Tensor& out, const Tensor& lse,
                        const Tensor& dout, const AttentionGrads& grads) {
  visit_float(q.dtype(), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    const Wide<T> wide_q(q), wide_k(k), wide_v(v), wide_out(out), wide_dout(dout);
    const WideOut<T> dq(grads.q), dk(grads.k), dv(grads.v);
    const int64_t heads = q.size(1), kv_heads = k.size(1), group = heads / kv_heads;
    const auto spans = read_spans(spans_tensor);
    for_tasks(spans, kv_heads, keys_overlap(spans), [&](const Span& span, int64_t kv_head) {
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head)
        backward_head<C>(
            {span, q.size(2), heads, head, kv_heads, kv_head, C(options.scale), options.causal},
            {wide_q.data(), wide_k.data(), wide_v.data(), wide_out.data(), lse.data<C>() + head * q.size(0),
             wide_dout.data(), dq.data(), dk.data(), dv.data()});
    });
    dq.round(), dk.round(), dv.round();
  });
}

const Provide<Attention> provide_attention{{DeviceKind::cpu}, attention};
const Provide<AttentionBackward> provide_attention_backward{{DeviceKind::cpu}, attention_backward};

}  // namespace
}  // namespace dehvf::cpu
