#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

// y = x matrix; 0 where there is none.
void product_into(const Tensor& x, const Tensor& matrix, const Tensor& y, const MatmulOptions& options) {
  matrix ? matmul_into(x, matrix, y, options) : fill(y, 0);
}

}  // namespace

void visual_rows_forward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                         const VisualRowsPlan& plan, const Tensor& output, const Tensor& scores) {
  const int64_t tokens = x.size(0);
  const Images images(rows, plan, x.device());
  product_into(x, rows.slot_keys, scores, {.transpose_b = true});
  const Coordinates projected = images.project(x), mixed = images.empty(tokens);
  const Tensor weights(scores.shape(), DType::f32, x.device());
  middle.forward(images, projected, scores, weights, mixed);
  const Tensor sum = output.dtype() == DType::f32 ? output : Tensor(output.shape(), DType::f32, x.device());
  product_into(weights, rows.slot_values, sum, {.alpha = plan.scale});
  images.add_to(sum, mixed, plan.scale * plan.lambda);
  if (output.dtype() != DType::f32) run<Cast>(x.device().kind, sum, output);
}

void visual_rows_backward(const VisualRowsMiddle& middle, const Tensor& x, const VisualRowsTensors& rows,
                          const VisualRowsPlan& plan, const Tensor& scores, const Tensor& dy,
                          const Tensor& dx, const VisualRowsTensors& grads) {
  const int64_t tokens = dy.size(0);
  const Images images(rows, plan, dy.device());
  const Tensor slopes(scores.shape(), DType::f32, dy.device()),
      weights(scores.shape(), DType::f32, dy.device());
  product_into(dy, rows.slot_values, slopes, {.transpose_b = true});
  const Coordinates projected = images.project(dy), mixed_keys = images.empty(tokens),
                    mixed_values = images.empty(tokens);
  middle.backward(images, projected, scores, slopes, weights, mixed_keys, mixed_values);
  if (dx) {
    product_into(slopes, rows.slot_keys, dx, {});
    images.add_to(dx, mixed_keys, plan.lambda);
  }
  if (grads.slot_keys) matmul_into(slopes, x, grads.slot_keys, {.transpose_a = true});
  if (grads.slot_values)
    matmul_into(weights, dy, grads.slot_values, {.transpose_a = true, .alpha = plan.scale});
  if (!images.present()) {
    for (const Tensor& grad : {grads.image_keys, grads.image_values, grads.basis, grads.bias})
      if (grad) fill(grad, 0);
    return;
  }
  if (grads.image_keys) middle.terms(images, slopes, images.project(x).matrix, plan.lambda, grads.image_keys);
  if (grads.image_values)
    middle.terms(images, weights, projected.matrix, plan.lambda * plan.scale, grads.image_values);
  if (grads.basis || grads.bias) {
    images.add_shared(x, mixed_keys, plan.lambda, false, grads);
    images.add_shared(dy, mixed_values, plan.lambda * plan.scale, true, grads);
  }
}

}  // namespace dehvf::cuda
