#include "autograd/ops/eager_attention.h"

#include <algorithm>
#include <numeric>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/rows.h"
#include "autograd/ops/softmax.h"

namespace dehvf {
namespace {

// Far below every score of f16's range: its share is exactly 0.
constexpr double kUnseen = -30000;

Variable causal_mask(int64_t length, DType dtype, Device device) {
  std::vector<float> mask(size_t(length * length));
  for (int64_t query = 0; query < length; ++query)
    std::fill(mask.begin() + ptrdiff_t(query * length + query + 1),
              mask.begin() + ptrdiff_t((query + 1) * length), float(kUnseen));
  return Variable(cast(tensor_of(mask), dtype).to(device));
}

// Row index[i] of x as row i; `inverse` takes it back.
Variable reordered(const Variable& x, const Tensor& index, const Tensor& inverse) {
  return record("reordered", gather_rows(x.value(), index), {x},
                [inverse](const Tensor& dy, const Wanted&) { return Grads{gather_rows(dy, inverse)}; });
}

Variable heads_as_rows(const Variable& x) { return reshape(x, {x.shape()[0] * x.shape()[1], x.shape()[2]}); }

}  // namespace

EagerAttention::EagerAttention(std::span<const int64_t> lengths, int64_t heads, int64_t kv_heads,
                               const AttentionOptions& options, DType dtype, Device device)
    : heads_(heads), kv_heads_(kv_heads), scale_(options.scale) {
  std::vector<int32_t> to, back(size_t(heads * std::reduce(lengths.begin(), lengths.end()))), of_keys;
  for (const int64_t length : lengths) {
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t row = rows_; row < rows_ + length; ++row) {
        back[size_t(row * heads + head)] = int32_t(to.size());
        to.push_back(int32_t(row * heads + head));
        of_keys.push_back(int32_t(row * kv_heads + head / (heads / kv_heads)));
      }
    rows_ += length;
    if (length == 0) continue;
    if (batches_.empty() || batches_.back().length != length)
      batches_.push_back({0, length, options.causal ? causal_mask(length, dtype, device) : Variable()});
    ++batches_.back().spans;
  }
  by_head_ = tensor_of(to, device);
  by_row_ = tensor_of(back, device);
  if (heads != kv_heads) by_head_of_keys_ = tensor_of(of_keys, device);
}

Variable EagerAttention::operator()(const Variable& q, const Variable& k, const Variable& v) const {
  const int64_t dim = q.shape()[2];
  require(q.shape() == Shape({rows_, heads_, dim}) && k.shape() == Shape({rows_, kv_heads_, dim}) &&
              v.shape() == k.shape(),
          "attention: q is ", q.shape(), ", k ", k.shape(), ", v ", v.shape(), ", wanted ", rows_,
          " rows of ", heads_, " and ", kv_heads_, " heads");
  const auto keys = [&](const Variable& x) {
    return by_head_of_keys_ ? gather_rows(heads_as_rows(x), by_head_of_keys_)
                            : reordered(heads_as_rows(x), by_head_, by_row_);
  };
  const Variable queries = reordered(heads_as_rows(q), by_head_, by_row_), all_k = keys(k), all_v = keys(v);
  std::vector<Variable> outputs;
  int64_t begin = 0;
  for (const auto& [spans, length, mask] : batches_) {
    const int64_t matrices = spans * heads_, end = begin + matrices * length;
    const auto part = [&, from = begin](const Variable& x) {
      return reshape(batches_.size() == 1 ? x : slice_rows(x, from, end), {matrices, length, dim});
    };
    Variable scores = scale(matmul(part(queries), part(all_k), /*transpose_b=*/true), scale_);
    if (mask.defined()) scores = add_row(reshape(scores, {matrices, length * length}), mask);
    const Variable shares = softmax(reshape(scores, {matrices, length, length}));
    outputs.push_back(reshape(matmul(shares, part(all_v)), {matrices * length, dim}));
    begin = end;
  }
  const Variable output = outputs.size() == 1 ? outputs[0] : concat_rows(outputs);
  return reshape(reordered(output, by_row_, by_head_), q.shape());
}

}  // namespace dehvf
