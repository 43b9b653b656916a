#include "core/ops/attention.h"

#include <algorithm>
#include <vector>

#include "core/ops/check.h"

namespace dehvf {
namespace {

void check_spans(const Tensor& spans, int64_t q_rows, int64_t k_rows) {
  require<DTypeError>(spans.dtype() == DType::i32, "attention: spans are ", spans.dtype(), ", wanted i32");
  require(spans.shape().rank() == 2 && spans.size(1) == 4, "attention: spans are ", spans.shape(),
          ", wanted [spans, 4]");
  if (spans.device() != kCpu) return;
  std::vector<std::pair<int64_t, int64_t>> taken;  // of the queries: begin, span
  for (int64_t s = 0; s < spans.size(0); ++s) {
    const int32_t* span = spans.data<int32_t>() + 4 * s;
    require(span[0] >= 0 && span[1] >= 0 && int64_t(span[0]) + span[1] <= q_rows && span[2] >= 0 &&
                span[3] >= 0 && int64_t(span[2]) + span[3] <= k_rows,
            "attention: span ", s, " reads queries [", span[0], ", +", span[1], ") of ", q_rows,
            " and keys [", span[2], ", +", span[3], ") of ", k_rows);
    if (span[1] > 0) taken.emplace_back(span[0], s);
  }
  std::ranges::sort(taken);
  for (size_t i = 1; i < taken.size(); ++i) {
    const auto [begin, s] = taken[i - 1];
    require(begin + spans.data<int32_t>()[4 * s + 1] <= taken[i].first, "attention: spans ", s, " and ",
            taken[i].second, " share query ", taken[i].first);
  }
}

void check_inputs(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans) {
  check_float("attention", "q", q);
  require(q.shape().rank() == 3 && k.shape().rank() == 3 && k.size(2) == q.size(2), "attention: q is ",
          q.shape(), ", k is ", k.shape(), ", wanted [rows, heads, dim] with equal dim");
  require(k.size(1) > 0 && q.size(1) % k.size(1) == 0, "attention: ", q.size(1), " heads over ", k.size(1),
          " kv heads");
  check_like("attention", "k", k, k.shape(), q.dtype(), q.device());
  check_same("attention", "k", k, "v", v);
  check_spans(spans, q.size(0), k.size(0));
}

// Of a query and a key that it sees, in all spans; 0 where only the device knows.
double pairs_of(const Tensor& spans, const AttentionOptions& options) {
  if (!host_reads(spans.device())) return 0;
  double pairs = 0;
  for (int64_t s = 0; s < spans.size(0); ++s) {
    const double queries = spans.data<int32_t>()[4 * s + 1], keys = spans.data<int32_t>()[4 * s + 3];
    // Causal: all queries see keys - queries + 1, each one more than the one before; none below 0.
    const double seen = std::min(queries, keys);
    pairs += options.causal ? seen * keys - seen * (seen - 1) / 2 : queries * keys;
  }
  return pairs;
}

// `products` of a row of q, k or v with another for every pair and head.
void count(std::string_view kernel, const Tensor& q, const Tensor& spans, const AttentionOptions& options,
           int products) {
  if (Trace* trace = Trace::current())
    trace->add_flops(kernel, 2 * products * pairs_of(spans, options) * double(q.size(1) * q.size(2)));
}

}  // namespace

Attended attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                   const AttentionOptions& options) {
  check_float("attention", "q", q);
  require(q.shape().rank() == 3, "attention: q is ", q.shape(), ", wanted [rows, heads, dim]");
  Attended result{Tensor(q.shape(), q.dtype(), q.device()),
                  Tensor({q.size(1), q.size(0)}, statistics_dtype(q.dtype()), q.device())};
  attention_into(q, k, v, spans, options, result);
  return result;
}

void attention_into(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                    const AttentionOptions& options, const Attended& attended) {
  check_inputs(q, k, v, spans);
  check_same("attention", "q", q, "out", attended.out);
  check_like("attention", "lse", attended.lse, {q.size(1), q.size(0)}, statistics_dtype(q.dtype()),
             q.device());
  count(Attention::name, q, spans, options, 2);
  run<Attention>(q.device().kind, q, k, v, spans, options, attended.out, attended.lse);
}

void attention_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& spans,
                        const AttentionOptions& options, const Attended& attended, const Tensor& dout,
                        const AttentionGrads& grads) {
  check_inputs(q, k, v, spans);
  check_same("attention_backward", "q", q, "dout", dout);
  if (grads.q) check_same("attention_backward", "q", q, "dq", grads.q);
  if (grads.k) check_same("attention_backward", "k", k, "dk", grads.k);
  if (grads.v) check_same("attention_backward", "v", v, "dv", grads.v);
  // The scores once more, the gradient of the shares for q and k, and what is wanted.
  const bool scores = grads.q || grads.k;
  count(AttentionBackward::name, q, spans, options,
        1 + scores + bool(grads.q) + bool(grads.k) + bool(grads.v));
  run<AttentionBackward>(q.device().kind, q, k, v, spans, options, attended.out, attended.lse, dout, grads);
}

}  // namespace dehvf
