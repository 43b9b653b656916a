// Forward: s = scale q k^T, hidden where a key is not seen; lse = m + log(sum exp(s - m)), m the largest;
// out = exp(s - m) / sum v. Backward: p = exp(s - lse), ds = scale p (dout v^T - sum(out dout)),
// dq = ds k, dk = ds^T q, dv = p^T dout. This very order of operations is what the library knows as
// attention. That dq is one product, not a sum over blocks of keys, makes it repeat its results.
#include <cmath>

#include "cuda/check.h"
#include "cuda/vendor/attention_cudnn.h"

namespace dehvf::cuda {
namespace {

cudnnDataType_t type_of(DType dtype) { return dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF; }

std::string described(const AttentionKind& kind) {
  return concat(kind.backward ? "attention_backward" : "attention", " by cudnn: ", kind.spans,
                " spans of up to ", kind.q_bound, " queries and ", kind.k_bound, " keys, heads ", kind.heads,
                '/', kind.kv_heads, ", dim ", kind.dim, ", ", kind.dtype, kind.causal ? ", causal" : "");
}

// Spans of rows [rows, heads, dim], each of at most `rows` rows.
struct Rows {
  CudnnDims dims, strides;
};
Rows rows_of(int64_t spans, int64_t rows, int64_t heads, int64_t dim) {
  return {{spans, heads, rows, dim}, {rows * heads * dim, dim, heads * dim, 1}};
}
Rows transposed(Rows x) {
  std::swap(x.dims[2], x.dims[3]);
  std::swap(x.strides[2], x.strides[3]);
  return x;
}

}  // namespace

AttentionPlan::AttentionPlan(const Cudnn& cudnn, const AttentionKind& kind, const CudnnDevice& device)
    : kind_(kind), scope_{cudnn, described(kind)} {
  describe_tensors();
  kind.backward ? describe_backward() : describe_forward();
  plan_ = graph_.plan(device);
}

void AttentionPlan::describe_tensors() {
  const auto& k = kind_;
  const cudnnDataType_t type = type_of(k.dtype);
  const auto list = [&](cudnnDataType_t of, int64_t count) {
    return graph_.outer(of, {count, 1, 1, 1}, {1, 1, 1, 1});
  };
  ids_.q_counts = list(CUDNN_DATA_INT32, k.spans), ids_.k_counts = list(CUDNN_DATA_INT32, k.spans);
  ids_.q_offsets = list(CUDNN_DATA_INT64, k.spans + 1), ids_.k_offsets = list(CUDNN_DATA_INT64, k.spans + 1);
  const Rows queries = rows_of(k.spans, k.q_bound, k.heads, k.dim);
  const Rows keys = rows_of(k.spans, k.k_bound, k.kv_heads, k.dim), columns = transposed(keys);
  const Rows values = k.backward ? columns : keys;
  const auto query_like = [&] { return graph_.outer(type, queries.dims, queries.strides, ids_.q_offsets); };
  const auto key_like = [&](const Rows& by) {
    return graph_.outer(type, by.dims, by.strides, ids_.k_offsets);
  };
  const auto statistic = [&] {
    return graph_.outer(CUDNN_DATA_FLOAT, {k.spans, k.heads, k.q_bound, 1},
                        {k.heads * k.q_bound, k.q_bound, 1, 1});
  };
  ids_.q = query_like(), ids_.k = key_like(columns), ids_.v = key_like(values), ids_.out = query_like();
  ids_.lse = statistic();
  ids_.scale = graph_.constant(), ids_.hidden = graph_.constant();
  if (!k.backward) return;
  ids_.dout = query_like(), ids_.dq = query_like(), ids_.dk = key_like(keys), ids_.dv = key_like(keys);
  ids_.sums = statistic(), ids_.one = graph_.constant();
}

TensorId AttentionPlan::scores() {
  const TensorId products =
      graph_.inner(CUDNN_DATA_FLOAT, {kind_.spans, kind_.heads, kind_.q_bound, kind_.k_bound});
  graph_.multiply(ids_.q, ids_.k, products, {.rows = ids_.q_counts, .columns = ids_.k_counts, .depth = {}});
  return hide_padding(graph_.pointwise(CUDNN_POINTWISE_MUL, products, ids_.scale));
}

TensorId AttentionPlan::hide_padding(TensorId scores) {
  const TensorId row = graph_.index(scores, 2), column = graph_.index(scores, 3);
  const TensorId row_in =
      graph_.pointwise(CUDNN_POINTWISE_CMP_LT, row, ids_.q_counts, {}, CUDNN_DATA_BOOLEAN);
  const TensorId column_in =
      graph_.pointwise(CUDNN_POINTWISE_CMP_LT, column, ids_.k_counts, {}, CUDNN_DATA_BOOLEAN);
  const TensorId in =
      graph_.pointwise(CUDNN_POINTWISE_LOGICAL_AND, row_in, column_in, {}, CUDNN_DATA_BOOLEAN);
  return graph_.pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, ids_.hidden, in);
}

// Aligned at the ends: row + keys - queries >= column.
TensorId AttentionPlan::hide_later_keys(TensorId scores) {
  if (!kind_.causal) return scores;
  const TensorId row = graph_.index(scores, 2), column = graph_.index(scores, 3);
  const TensorId behind = graph_.pointwise(CUDNN_POINTWISE_ADD, row, ids_.k_counts, {}, CUDNN_DATA_INT32);
  const TensorId last = graph_.pointwise(CUDNN_POINTWISE_SUB, behind, ids_.q_counts, {}, CUDNN_DATA_INT32);
  const TensorId seen = graph_.pointwise(CUDNN_POINTWISE_CMP_GE, last, column, {}, CUDNN_DATA_BOOLEAN);
  return graph_.pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, ids_.hidden, seen);
}

void AttentionPlan::describe_forward() {
  const TensorId shown = hide_later_keys(scores());
  const TensorId top = graph_.reduce(CUDNN_REDUCE_TENSOR_MAX, shown);
  const TensorId powers =
      graph_.pointwise(CUDNN_POINTWISE_EXP, graph_.pointwise(CUDNN_POINTWISE_SUB, shown, top));
  const TensorId sum = graph_.reduce(CUDNN_REDUCE_TENSOR_ADD, powers);
  graph_.pointwise_into(CUDNN_POINTWISE_ADD, top, graph_.pointwise(CUDNN_POINTWISE_LOG, sum), ids_.lse);
  const TensorId weights =
      graph_.inner(type_of(kind_.dtype), {kind_.spans, kind_.heads, kind_.q_bound, kind_.k_bound});
  graph_.pointwise_into(CUDNN_POINTWISE_DIV, powers, sum, weights);
  graph_.multiply(weights, ids_.v, ids_.out, {.rows = ids_.q_counts, .columns = {}, .depth = ids_.k_counts});
}

// out = weights^T rows, added up over the heads that share a kv head.
void AttentionPlan::mix_by_keys(TensorId weights, TensorId rows, TensorId out) {
  const auto& k = kind_;
  const int64_t square = k.q_bound * k.k_bound;
  const TensorId turned = graph_.reshape(weights, {k.spans, k.heads, k.k_bound, k.q_bound},
                                         {k.heads * square, square, 1, k.k_bound}, type_of(k.dtype));
  const CudnnGraph::Extents extents{.rows = ids_.k_counts, .columns = {}, .depth = ids_.q_counts};
  if (k.heads == k.kv_heads) return graph_.multiply(turned, rows, out, extents);
  const TensorId each = graph_.inner(type_of(k.dtype), {k.spans, k.heads, k.k_bound, k.dim});
  graph_.multiply(turned, rows, each, extents);
  graph_.reduce_into(CUDNN_REDUCE_TENSOR_ADD, each, out);
}

void AttentionPlan::describe_backward() {
  const auto& k = kind_;
  const TensorId products = graph_.pointwise(CUDNN_POINTWISE_MUL, ids_.dout, ids_.out);
  graph_.pointwise_into(CUDNN_POINTWISE_MUL, graph_.reduce(CUDNN_REDUCE_TENSOR_ADD, products), ids_.one,
                        ids_.sums);
  const TensorId below = graph_.pointwise(CUDNN_POINTWISE_SUB, scores(), ids_.lse);
  const TensorId weights = graph_.pointwise(CUDNN_POINTWISE_EXP, hide_later_keys(below));
  mix_by_keys(weights, ids_.dout, ids_.dv);
  const TensorId mixed = graph_.inner(CUDNN_DATA_FLOAT, {k.spans, k.heads, k.q_bound, k.k_bound});
  graph_.multiply(ids_.dout, ids_.v, mixed, {.rows = ids_.q_counts, .columns = ids_.k_counts, .depth = {}});
  const TensorId slopes = graph_.pointwise(
      CUDNN_POINTWISE_MUL,
      graph_.pointwise(CUDNN_POINTWISE_MUL, graph_.pointwise(CUDNN_POINTWISE_SUB, mixed, ids_.sums), weights),
      ids_.scale);
  mix_by_keys(slopes, ids_.q, ids_.dk);
  const Rows keys = rows_of(k.spans, k.k_bound, k.kv_heads, k.dim);
  const TensorId upright = graph_.reshape(ids_.k, keys.dims, keys.strides, type_of(k.dtype), ids_.k_offsets);
  graph_.multiply(slopes, upright, ids_.dq, {.rows = ids_.q_counts, .columns = {}, .depth = ids_.k_counts});
}

void AttentionPlan::run(cudnnHandle_t handle, const AttentionData& data, void* workspace) const {
  static constexpr float kHidden = -INFINITY, kOne = 1;
  CudnnArguments arguments{{ids_.q, data.q},
                           {ids_.k, data.k},
                           {ids_.v, data.v},
                           {ids_.out, data.out},
                           {ids_.lse, data.lse},
                           {ids_.q_counts, data.q_counts},
                           {ids_.k_counts, data.k_counts},
                           {ids_.q_offsets, data.q_offsets},
                           {ids_.k_offsets, data.k_offsets},
                           {ids_.scale, &data.scale},
                           {ids_.hidden, &kHidden}};
  if (const auto& backward = data.backward)
    arguments.insert(arguments.end(), {{ids_.dout, backward->dout},
                                       {ids_.sums, backward->sums},
                                       {ids_.one, &kOne},
                                       {ids_.dq, backward->dq},
                                       {ids_.dk, backward->dk},
                                       {ids_.dv, backward->dv}});
  plan_->run(scope_, handle, arguments, workspace);
}

}  // namespace dehvf::cuda
