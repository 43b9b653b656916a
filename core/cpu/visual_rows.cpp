// The visual rows as whole products for the shared slots and one product a sample for the image terms.
// Factored rows are brought to the materialised form in rank + 1 dimensions: with B = [basis | bias] and
// z' = [z | 1], x (z basis^T + 1 bias^T)^T = (x B) z'^T, so one code serves both.
#include "core/ops/visual_rows.h"

#include "core/cpu/chunks.h"
#include "core/ops/check.h"
#include "core/ops/drop_lowest.h"
#include "core/ops/matmul.h"

namespace dehvf::cpu {
namespace {

template <class C>
using Matrix = Eigen::Matrix<C, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class C>
using MatrixView = Eigen::Map<Matrix<C>, 0, Eigen::OuterStride<>>;

constexpr int64_t kBlockRows = 64, kPad = 8;

// `columns` columns of the rows [begin, end) of a matrix with `stride` columns.
template <class C>
MatrixView<C> view(const Tensor& matrix, int64_t begin, int64_t end, int64_t columns) {
  const int64_t stride = matrix.shape().last();
  return {matrix.data<C>() + begin * stride, end - begin, columns, Eigen::OuterStride<>(stride)};
}

Tensor product(const Tensor& a, const Tensor& b, DType dtype, const MatmulOptions& options) {
  Tensor c({a.size(options.transpose_a ? 1 : 0), b.size(options.transpose_b ? 0 : 1)}, dtype);
  matmul_into(a, b, c, options);
  return c;
}

// Tokens [begin, end) of one sample with an image.
struct Block {
  int64_t image, begin, end;
};

std::vector<Block> blocks_of(const VisualRowsPlan& plan, int64_t tokens_each) {
  std::vector<Block> blocks;
  const int32_t *offsets = plan.sample_offsets.data<int32_t>(), *image_of = plan.image_of.data<int32_t>();
  for (int64_t s = 0; s < plan.image_of.count(); ++s)
    for (int64_t begin = offsets[s]; image_of[s] >= 0 && begin < offsets[s + 1]; begin += tokens_each)
      blocks.push_back({image_of[s], begin, std::min<int64_t>(begin + tokens_each, offsets[s + 1])});
  return blocks;
}

// [matrix | column | zeros] with a multiple of kPad columns; ones where `column` is empty.
template <class C>
Tensor extended(const Tensor& matrix, const Tensor& column) {
  const int64_t rows = matrix.shape().rows(), rank = matrix.shape().last();
  const int64_t padded = (rank + 1 + kPad - 1) / kPad * kPad;
  const Aligned<C> from = widened<C>(matrix);
  const Aligned<C> last = column.defined() ? widened<C>(column) : Aligned<C>(size_t(rows), C(1));
  Tensor result = zeros(matrix.shape().with(-1, padded), dtype_of<C>());
  for_rows(rows, padded, [&](int64_t r) {
    C* out = result.data<C>() + r * padded;
    std::copy_n(from.data() + r * rank, rank, out);
    out[rank] = last[size_t(r)];
  });
  return result;
}

// The image terms, materialised in as few dimensions as they have.
template <class C>
class Images {
 public:
  Images(const VisualRowsTensors& rows, const VisualRowsPlan& plan)
      : blocks_(blocks_of(plan, kBlockRows)), samples_(blocks_of(plan, INT64_MAX / 2)) {
    if (blocks_.empty()) return;
    count_ = rows.image_keys.size(1);
    rank_ = rows.image_keys.size(2);
    if (rows.basis.defined()) {
      basis = extended<C>(rows.basis, rows.bias);
      keys = extended<C>(rows.image_keys, {});
      values = rows.image_values.raw() == rows.image_keys.raw() ? keys : extended<C>(rows.image_values, {});
    } else {
      keys = cast(rows.image_keys, dtype_of<C>());
      values = cast(rows.image_values, dtype_of<C>());
    }
  }

  bool any() const { return !blocks_.empty(); }

  // x in the coordinates of keys and values.
  Tensor project(const Tensor& x) const {
    return basis.defined() ? product(x, basis, dtype_of<C>(), {}) : cast(x, dtype_of<C>());
  }

  // scores[:, first N] += factor projected terms^T, on the tokens of samples with an image.
  void add_scores(const Tensor& projected, const Tensor& terms, double factor, const Tensor& scores) const {
    const int64_t width = terms.size(2);
    parallel_for(int64_t(blocks_.size()), [&](int64_t i) {
      const auto [image, begin, end] = blocks_[size_t(i)];
      view<C>(scores, begin, end, count_).noalias() +=
          C(factor) *
          (view<C>(projected, begin, end, width) * view<C>(terms[image], 0, count_, width).transpose());
    });
  }

  // weights[:, first N] terms; zero for samples without an image.
  Tensor mix(const Tensor& weights, const Tensor& terms) const {
    const int64_t width = terms.size(2);
    Tensor mixed = zeros({weights.size(0), width}, dtype_of<C>());
    parallel_for(int64_t(blocks_.size()), [&](int64_t i) {
      const auto [image, begin, end] = blocks_[size_t(i)];
      view<C>(mixed, begin, end, width).noalias() =
          view<C>(weights, begin, end, count_) * view<C>(terms[image], 0, count_, width);
    });
    return mixed;
  }

  // gradient[image] = factor sum over its samples, in order, of weights[:, first N]^T projected.
  void term_gradient(const Tensor& weights, const Tensor& projected, double factor,
                     const Tensor& gradient) const {
    fill(gradient, 0);
    const int64_t pieces = (count_ + kBlockRows - 1) / kBlockRows;
    parallel_for(gradient.size(0) * pieces, [&](int64_t task) {
      const int64_t image = task / pieces, row = task % pieces * kBlockRows;
      const int64_t rows = std::min(kBlockRows, count_ - row);
      for (const Block& sample : samples_)
        if (sample.image == image)
          view<C>(gradient[image], row, row + rows, rank_).noalias() +=
              C(factor) *
              (view<C>(weights, sample.begin, sample.end, count_).middleCols(row, rows).transpose() *
               view<C>(projected, sample.begin, sample.end, rank_));
    });
  }

  // Splits the gradient of [basis | bias].
  void split_basis(const Tensor& gradient, const Tensor& basis_grad, const Tensor& bias_grad) const {
    for (int64_t r = 0; r < gradient.size(0); ++r) {
      const C* from = gradient.data<C>() + r * gradient.size(1);
      if (basis_grad.defined()) std::copy_n(from, rank_, basis_grad.data<C>() + r * rank_);
      if (bias_grad.defined()) bias_grad.data<C>()[r] = from[rank_];
    }
  }

  Tensor keys, values, basis;

 private:
  std::vector<Block> blocks_, samples_;
  int64_t count_ = 0, rank_ = 0;  // N; dimensions of a stored image term
};

// sum += factor mixed, taken back from the coordinates of the image terms.
template <class C>
void add_mixed(const Images<C>& images, const Tensor& mixed, double factor, const Tensor& sum) {
  if (images.basis.defined())
    matmul_into(mixed, images.basis, sum, {.transpose_b = true, .alpha = factor, .accumulate = true});
  else
    add_into(mixed, sum, factor);
}

Tensor activated(const Tensor& scores, const VisualRowsPlan& plan) {
  return dropout(plan.activation ? activate(scores, *plan.activation) : scores, plan.sample_offsets,
                 plan.dropout);
}
Tensor attention_of(const Tensor& scores, const VisualRowsPlan& plan) {
  const Tensor all = activated(scores, plan);
  return plan.dropped > 0 ? drop_lowest(all, plan.dropped).y : all;
}

// The gradient of the scores from that of attention_of().
Tensor attention_backward_of(const Tensor& scores, Tensor gradient, const VisualRowsPlan& plan) {
  if (plan.dropped > 0)
    gradient = drop_lowest_backward(drop_lowest(activated(scores, plan), plan.dropped).kept, gradient);
  gradient = dropout(gradient, plan.sample_offsets, plan.dropout);
  return plan.activation ? activate_backward(scores, gradient, *plan.activation) : gradient;
}

// y = x matrix; 0 where there is none.
void product_into(const Tensor& x, const Tensor& matrix, const Tensor& y, const MatmulOptions& options) {
  matrix.defined() ? matmul_into(x, matrix, y, options) : fill(y, 0);
}

template <class C>
void forward_as(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                const Tensor& residual, const Tensor& output, const Tensor& scores) {
  const DType type = dtype_of<C>();
  const Images<C> images(rows, plan);
  product_into(x, rows.slot_keys, scores, {.transpose_b = true});
  if (images.any()) images.add_scores(images.project(x), images.keys, plan.lambda, scores);
  const Tensor attention = attention_of(scores, plan);
  const Tensor sum = output.dtype() == type ? output : Tensor(output.shape(), type);
  product_into(attention, rows.slot_values, sum, {.alpha = plan.scale});
  if (images.any()) add_mixed(images, images.mix(attention, images.values), plan.scale * plan.lambda, sum);
  if (residual) add_into(cast(residual, type), sum);
  if (output.dtype() != type) copy_into(cast(sum, output.dtype()), output);
}

void clear_image_grads(const VisualRowsTensors& grads) {
  for (const Tensor& grad : {grads.image_keys, grads.image_values, grads.basis, grads.bias})
    if (grad.defined()) fill(grad, 0);
}

template <class C>
void backward_as(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                 const Tensor& scores, const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
  const DType type = dtype_of<C>();
  const Images<C> images(rows, plan);
  const bool shared = grads.basis.defined() || grads.bias.defined();
  const bool key_side = dx.defined() || grads.slot_keys.defined() || grads.image_keys.defined() || shared;
  const bool value_side = grads.slot_values.defined() || grads.image_values.defined() || shared;
  Tensor projected_dy = images.any() ? images.project(dy) : Tensor();

  Tensor dscores, attention;
  if (key_side) {
    dscores = Tensor(scores.shape(), type);
    product_into(dy, rows.slot_values, dscores, {.transpose_b = true, .alpha = plan.scale});
    if (images.any()) images.add_scores(projected_dy, images.values, plan.scale * plan.lambda, dscores);
    dscores = attention_backward_of(scores, dscores, plan);
  }
  if (value_side) attention = attention_of(scores, plan);
  if (dx.defined()) product_into(dscores, rows.slot_keys, dx, {});
  if (grads.slot_keys.defined()) matmul_into(dscores, x, grads.slot_keys, {.transpose_a = true});
  if (grads.slot_values.defined())
    matmul_into(attention, dy, grads.slot_values, {.transpose_a = true, .alpha = plan.scale});

  if (!images.any()) return clear_image_grads(grads);
  if (grads.image_keys.defined())
    images.term_gradient(dscores, images.project(x), plan.lambda, grads.image_keys);
  if (grads.image_values.defined())
    images.term_gradient(attention, projected_dy, plan.lambda * plan.scale, grads.image_values);
  projected_dy = {};  // of all tokens, as what is mixed; one at a time
  Tensor mixed = dx.defined() || shared ? images.mix(dscores, images.keys) : Tensor();
  if (dx.defined()) add_mixed(images, mixed, plan.lambda, dx);
  if (shared) {
    const Tensor sum = product(x, mixed, type, {.transpose_a = true, .alpha = plan.lambda});
    mixed = {};
    mixed = images.mix(attention, images.values);
    matmul_into(dy, mixed, sum, {.transpose_a = true, .alpha = plan.lambda * plan.scale, .accumulate = true});
    images.split_basis(sum, grads.basis, grads.bias);
  }
}

void forward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
             const Tensor& residual, const Tensor& output, const Tensor& scores) {
  scores.dtype() == DType::f64 ? forward_as<double>(x, rows, plan, residual, output, scores)
                               : forward_as<float>(x, rows, plan, residual, output, scores);
}

// Gradients are computed in the dtype of the scores.
void backward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
              const Tensor& scores, const Tensor& dy, const Tensor& dx, const VisualRowsTensors& grads) {
  const DType type = scores.dtype();
  std::vector<std::pair<Tensor, Tensor>> rounded_later;
  const auto computed = [&](const Tensor& wanted) {
    if (!wanted || wanted.dtype() == type) return wanted;
    return rounded_later.emplace_back(Tensor(wanted.shape(), type), wanted).first;
  };
  const Tensor in_x = computed(dx);
  const VisualRowsTensors in_rows{computed(grads.slot_keys),  computed(grads.slot_values),
                                  computed(grads.image_keys), computed(grads.image_values),
                                  computed(grads.basis),      computed(grads.bias)};
  type == DType::f64 ? backward_as<double>(x, rows, plan, scores, dy, in_x, in_rows)
                     : backward_as<float>(x, rows, plan, scores, dy, in_x, in_rows);
  for (const auto& [from, to] : rounded_later) copy_into(cast(from, to.dtype()), to);
}

const Provide<VisualRowsForward> provide_forward{{DeviceKind::cpu}, forward};
const Provide<VisualRowsBackward> provide_backward{{DeviceKind::cpu}, backward};

}  // namespace
}  // namespace dehvf::cpu
