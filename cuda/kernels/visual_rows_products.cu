#include "core/ops/product.h"
#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

// So many that rows of 16-bit elements are whole packs of 16 bytes.
int coordinates_of(const VisualRowsTensors& rows, bool present) {
  if (!present) return 0;
  const auto rank = int(rows.image_keys.size(2));
  return rows.basis ? (rank + 1 + 7) / 8 * 8 : rank;
}

// Which of the activated scores are the lowest must not depend on how they are rounded.
DType held_dtype(DType activations, const VisualRowsTensors& rows, const VisualRowsPlan& plan) {
  const auto others = [&](const Tensor& x) { return x.defined() && x.dtype() != activations; };
  return plan.dropped > 0 || std::ranges::any_of(rows.tensors(), others) ? DType::f32 : activations;
}

Rows rows_on_device(const VisualRowsTensors& rows, const VisualRowsPlan& plan, bool present) {
  const bool drops = plan.dropout.rate > 0;
  return {.offsets = data_of<const int32_t>(plan.sample_offsets),
          .image_of = data_of<const int32_t>(plan.image_of),
          .positions = drops ? data_of<const int32_t>(plan.dropout.positions) : nullptr,
          .ids = drops ? data_of<const int64_t>(plan.dropout.sample_ids) : nullptr,
          .samples = int(plan.image_of.count()),
          .slots = int(rows.slot_keys ? rows.slot_keys.size(0) : rows.image_keys.size(1)),
          .terms = present ? int(rows.image_keys.size(1)) : 0,
          .rank = present ? int(rows.image_keys.size(2)) : 0,
          .coordinates = coordinates_of(rows, present),
          .lambda = float(plan.lambda),
          .scale = float(plan.scale),
          .activates = plan.activation.has_value(),
          .activation = plan.activation.value_or(Activation::silu),
          .drops = drops,
          .draw = drops ? dropout_draw(plan.dropout) : DropoutDraw{}};
}

// y = x matrix^T; 0 where there is none.
void product_of_rows(const Tensor& x, const Tensor& matrix, const Tensor& y) {
  matrix ? matmul_into(x, matrix, y, {.transpose_b = true}) : fill(y, 0);
}

}  // namespace

Images::Images(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan)
    : rows_(rows),
      present_(rows.image_keys.defined() && rows.image_keys.count() > 0),
      dropped_(plan.dropped),
      device_(x.device()),
      held_(held_dtype(x.dtype(), rows, plan)) {
  on_device = rows_on_device(rows, plan, present_);
  if (!present_ || !rows.basis) return;
  basis_ = held({on_device.coordinates, rows.basis.size(0)});
  pack_basis(rows.basis, rows.bias, basis_);
}

Tensor Images::project(const Tensor& x) const {
  if (!present_) return {};
  if (!basis_) return cast(x, held_);
  const Tensor result = mixture(x.size(0));
  matmul_into(x, basis_, result, {.transpose_b = true});
  return result;
}

void Images::add_up(const Tensor& along, const Tensor& slots, const Tensor& mixed, const Tensor& residual,
                    const Tensor& sum) const {
  // f32 terms are added up before they are rounded.
  const DType dtype = held_ == DType::f32 ? DType::f32 : sum.dtype();
  ProductOutput output{{}, sum.dtype() == dtype ? sum : Tensor(sum.shape(), dtype, device_)};
  if (slots) output.terms.push_back({along, slots});
  if (present_ && basis_) output.terms.push_back({mixed, basis_});
  Tensor beside = residual ? cast(residual, dtype) : Tensor();
  if (present_ && !basis_) {
    const Tensor written_out = cast(mixed, dtype);
    if (beside) add_into(beside, written_out);
    beside = written_out;
  }
  if (!output.terms.empty()) {
    output.epilogue.residual = beside;
    product_into({&output, 1}, {});
  } else {
    beside ? copy_into(beside, output.c) : fill(output.c, 0);
  }
  if (sum.dtype() != dtype) run<Cast>(device_.kind, output.c, sum);
}

void Images::shared_gradients(const Tensor& x, const Tensor& mixed_keys, const Tensor& dy,
                              const Tensor& mixed_values, const VisualRowsTensors& grads) const {
  const Tensor sum({on_device.coordinates, x.size(1)}, DType::f32, device_);
  const ProductOutput output{{{mixed_keys, x}, {mixed_values, dy}}, sum};
  product_into({&output, 1}, {.transpose_a = true});
  unpack_basis(sum, on_device.rank, grads.basis, grads.bias);
}

bool Images::drop(const Tensor& weights, const Tensor& slopes) const {
  if (dropped_ == 0) return false;
  const DropLowestResult result = drop_lowest(weights, dropped_);
  copy_into(result.y, weights);
  if (slopes) copy_into(drop_lowest_backward(result.kept, slopes), slopes);
  return true;
}

void visual_rows_forward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                         const VisualRowsPlan& plan, const Tensor& residual, const Tensor& output,
                         const Tensor& scores) {
  const Images images(x, rows, plan);
  product_of_rows(x, rows.slot_keys, scores);
  const Tensor weights = images.held(scores.shape()), mixed = images.mixture(x.size(0));
  middle.forward(images, images.project(x), scores, weights, mixed);
  images.add_up(weights, rows.slot_values, mixed, residual, output);
}

void visual_rows_backward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                          const VisualRowsPlan& plan, const Tensor& scores, const Tensor& dy,
                          const Tensor& dx, const VisualRowsTensors& grads) {
  const Images images(dy, rows, plan);
  const Tensor slopes(scores.shape(), DType::f32, dy.device()), dscores = images.held(scores.shape()),
                                                                weights = images.held(scores.shape());
  product_of_rows(dy, rows.slot_values, slopes);
  const Tensor projected = images.project(dy), mixed_keys = images.mixture(dy.size(0)),
               mixed_values = images.mixture(dy.size(0));
  middle.backward(images, projected, scores, slopes, dscores, weights, mixed_keys, mixed_values);
  if (dx) images.add_up(dscores, rows.slot_keys, mixed_keys, {}, dx);
  std::vector<ProductOutput> slots;
  if (grads.slot_keys) slots.push_back({{{dscores, x}}, grads.slot_keys});
  if (grads.slot_values) slots.push_back({{{weights, dy}}, grads.slot_values});
  product_into(slots, {.transpose_a = true});
  if (!images.present()) {
    for (const Tensor& grad : {grads.image_keys, grads.image_values, grads.basis, grads.bias})
      if (grad) fill(grad, 0);
    return;
  }
  std::vector<TermGradient> wanted;
  if (grads.image_keys) wanted.push_back({dscores, images.project(x), grads.image_keys});
  if (grads.image_values) wanted.push_back({weights, projected, grads.image_values});
  if (!wanted.empty()) middle.terms(images, wanted);
  if (grads.basis || grads.bias) images.shared_gradients(x, mixed_keys, dy, mixed_values, grads);
}

}  // namespace dehvf::cuda
