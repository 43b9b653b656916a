#include "core/ops/rows.h"

#include "core/ops/check.h"
#include "core/ops/elementwise.h"

namespace dehvf {
namespace {

// Equal but for `axis`, along which the sizes are added.
Shape joined(std::string_view op, std::span<const Tensor> pieces, int axis) {
  require(!pieces.empty(), op, ": nothing to join");
  const Tensor& first = pieces[0];
  require(first.shape().rank() > 0, op, ": wanted at least one axis, found a scalar");
  int64_t size = 0;
  for (const Tensor& piece : pieces) {
    require(piece.shape().rank() == first.shape().rank() &&
                piece.shape().with(axis, 0) == first.shape().with(axis, 0),
            op, ": ", piece.shape(), " does not fit ", first.shape());
    require<DTypeError>(piece.dtype() == first.dtype(), op, ": ", piece.dtype(), " beside ", first.dtype());
    require<DeviceError>(piece.device() == first.device(), op, ": a piece on ", piece.device(), " beside ",
                         first.device());
    size += piece.size(axis);
  }
  return first.shape().with(axis, size);
}

// Index tables are made on the plan too: ops read them there.
DeviceKind place_of(const Tensor& x) {
  return x.device().kind == DeviceKind::plan && x.dtype() == DType::i32 ? DeviceKind::cpu : x.device().kind;
}

}  // namespace

Tensor gather_rows(const Tensor& x, const Tensor& index) {
  require(x.shape().rank() > 0 && index.shape().rank() == 1, "gather_rows: x is ", x.shape(), ", index is ",
          index.shape(), ", wanted [rows, ...] and [n]");
  check_like("gather_rows", "index", index, index.shape(), DType::i32, x.device());
  check_indices("gather_rows", "index", index, x.size(0));
  Tensor y(x.shape().with(0, index.size(0)), x.dtype(), x.device());
  run<GatherRows>(place_of(x), x, index, y);
  return y;
}

Tensor scatter_add_rows(const Tensor& rows, const Tensor& index, int64_t count, DType dtype) {
  check_float("scatter_add_rows", "rows", rows);
  require(rows.shape().rank() > 0, "scatter_add_rows: rows is a scalar, wanted [n, ...]");
  check_like("scatter_add_rows", "index", index, {rows.size(0)}, DType::i32, rows.device());
  check_indices("scatter_add_rows", "index", index, count);
  Tensor sum(rows.shape().with(0, count), statistics_dtype(rows.dtype()), rows.device());
  run<ScatterAddRows>(rows.device().kind, rows, index, sum);
  return cast(sum, dtype);
}

void copy_columns(const Tensor& from, int64_t from_begin, const Tensor& to, int64_t to_begin, int64_t count) {
  require(from.shape().rank() > 0 && from.shape().rank() == to.shape().rank() &&
              from.shape().with(-1, 0) == to.shape().with(-1, 0),
          "copy_columns: from ", from.shape(), " to ", to.shape());
  require<DTypeError>(from.dtype() == to.dtype(), "copy_columns: from ", from.dtype(), " to ", to.dtype());
  require<DeviceError>(from.device() == to.device(), "copy_columns: from ", from.device(), " to ",
                       to.device());
  require(count >= 0 && from_begin >= 0 && from_begin + count <= from.shape().last() && to_begin >= 0 &&
              to_begin + count <= to.shape().last(),
          "copy_columns: ", count, " columns from ", from_begin, " of ", from.shape(), " to ", to_begin,
          " of ", to.shape());
  run<CopyColumns>(place_of(from), from, from_begin, to, to_begin, count);
}

Tensor slice_columns(const Tensor& x, int64_t begin, int64_t end) {
  require(x.shape().rank() > 0 && 0 <= begin && begin <= end && end <= x.shape().last(), "slice_columns: [",
          begin, ", ", end, ") of the last axis of ", x.shape());
  Tensor y(x.shape().with(-1, end - begin), x.dtype(), x.device());
  copy_columns(x, begin, y, 0, end - begin);
  return y;
}

Tensor concat_columns(std::span<const Tensor> pieces) {
  Tensor y(joined("concat_columns", pieces, -1), pieces[0].dtype(), pieces[0].device());
  int64_t at = 0;
  for (const Tensor& piece : pieces) {
    copy_columns(piece, 0, y, at, piece.shape().last());
    at += piece.shape().last();
  }
  return y;
}

Tensor concat_rows(std::span<const Tensor> pieces) {
  Tensor y(joined("concat_rows", pieces, 0), pieces[0].dtype(), pieces[0].device());
  int64_t at = 0;
  for (const Tensor& piece : pieces) {
    copy_into(piece, y.slice(at, at + piece.size(0)));
    at += piece.size(0);
  }
  return y;
}

}  // namespace dehvf
