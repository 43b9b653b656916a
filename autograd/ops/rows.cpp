#include "autograd/ops/rows.h"

#include "core/ops/check.h"
#include "core/ops/elementwise.h"

namespace dehvf {
namespace {

Variable gather(std::string_view op, const Variable& x, const Tensor& index) {
  return record(op, gather_rows(x.value(), index), {x},
                [index, rows = x.shape()[0], type = x.grad_dtype()](const Tensor& dy, const Wanted&) {
                  return Grads{scatter_add_rows(dy, index, rows, type)};
                });
}

std::vector<Tensor> values_of(std::span<const Variable> pieces) {
  std::vector<Tensor> values;
  for (const Variable& piece : pieces) values.push_back(piece.value());
  return values;
}

// The pieces' gradients: cut(dy, begin, end) for each one's part of `axis`.
template <class Cut>
Backward pieces_of(std::span<const Variable> pieces, int axis, Cut cut) {
  std::vector<int64_t> sizes;
  for (const Variable& piece : pieces) sizes.push_back(piece.shape()[axis]);
  return [sizes, cut](const Tensor& dy, const Wanted& wanted) {
    Grads grads(sizes.size());
    int64_t at = 0;
    for (size_t i = 0; i < sizes.size(); at += sizes[i++])
      if (wanted[i]) grads[i] = cut(dy, at, at + sizes[i]);
    return grads;
  };
}

}  // namespace

Variable gather_rows(const Variable& x, const Tensor& index) { return gather("gather_rows", x, index); }

Variable embedding(const Tensor& ids, const Variable& table) {
  require(table.shape().rank() == 2, "embedding: table is ", table.shape(), ", wanted [vocabulary, width]");
  require<DTypeError>(ids.dtype() == DType::i32, "embedding: ids are ", ids.dtype(), ", wanted i32");
  check_indices("embedding", "token id", ids, table.shape()[0]);
  return gather("embedding", table, ids);
}

Variable slice_rows(const Variable& x, int64_t begin, int64_t end) {
  return record("slice_rows", x.value().slice(begin, end), {x},
                [begin, end, shape = x.shape()](const Tensor& dy, const Wanted&) {
                  const Tensor dx = zeros(shape, dy.dtype(), dy.device());
                  copy_into(dy, dx.slice(begin, end));
                  return Grads{dx};
                });
}

Variable slice_columns(const Variable& x, int64_t begin, int64_t end) {
  return record("slice_columns", slice_columns(x.value(), begin, end), {x},
                [begin, end, shape = x.shape()](const Tensor& dy, const Wanted&) {
                  const Tensor dx = zeros(shape, dy.dtype(), dy.device());
                  copy_columns(dy, 0, dx, begin, end - begin);
                  return Grads{dx};
                });
}

Variable concat_rows(std::span<const Variable> pieces) {
  return record("concat_rows", concat_rows(values_of(pieces)), {pieces.begin(), pieces.end()},
                pieces_of(pieces, 0,
                          [](const Tensor& dy, int64_t begin, int64_t end) { return dy.slice(begin, end); }));
}

Variable concat_columns(std::span<const Variable> pieces) {
  return record("concat_columns", concat_columns(values_of(pieces)), {pieces.begin(), pieces.end()},
                pieces_of(pieces, -1, [](const Tensor& dy, int64_t begin, int64_t end) {
                  return slice_columns(dy, begin, end);
                }));
}

}  // namespace dehvf
