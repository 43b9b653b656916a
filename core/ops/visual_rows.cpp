#include "core/ops/visual_rows.h"

#include "core/ops/check.h"

namespace dehvf {
namespace {

constexpr std::string_view kOp = "visual_rows";

void check_rows(std::string_view name, const Tensor& tensor, const Shape& shape, Device device) {
  require(tensor.defined() && tensor.shape() == shape, kOp, ": ", name, " is ",
          tensor.defined() ? concat(tensor.shape()) : "empty", ", wanted ", shape);
  check_float(kOp, name, tensor);
  require<DeviceError>(tensor.device() == device, kOp, ": ", name, " is on ", tensor.device(), ", x on ",
                       device);
}

// n
int64_t slots_of(const VisualRowsTensors& rows) {
  const Tensor& counted = rows.slot_keys.defined() ? rows.slot_keys : rows.image_keys;
  const size_t axis = rows.slot_keys.defined() ? 0 : 1;
  return counted.defined() && counted.shape().rank() == int(axis + 2) ? counted.size(axis) : 0;
}

int64_t check_images(const VisualRowsTensors& rows, int64_t slots, int64_t width, Device device) {
  if (!rows.image_keys.defined()) {
    require(!rows.image_values.defined() && !rows.basis.defined() && !rows.bias.defined(), kOp,
            ": image_values, basis and bias need image_keys");
    return 0;
  }
  const Shape& keys = rows.image_keys.shape();
  require(keys.rank() == 3, kOp, ": image_keys is ", keys, ", wanted [images, N, rank]");
  require(keys[1] <= slots, kOp, ": an image has N = ", keys[1], " rows, but there are only n = ", slots,
          " slots; use at least ", keys[1], " slots");
  const int64_t rank = rows.basis.defined() ? keys[2] : width;
  check_rows("image_keys", rows.image_keys, {keys[0], keys[1], rank}, device);
  check_rows("image_values", rows.image_values, keys, device);
  if (rows.basis.defined()) {
    check_rows("basis", rows.basis, {width, rank}, device);
    check_rows("bias", rows.bias, {width}, device);
  } else {
    require(!rows.bias.defined(), kOp, ": bias without basis; materialised rows hold it already");
  }
  return keys[0];
}

void check(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan) {
  check_float(kOp, "x", x);
  require(x.shape().rank() == 2, kOp, ": x is ", x.shape(), ", wanted [tokens, width]");
  const Device device = x.device();
  const int64_t slots = slots_of(rows);
  const bool bare = !rows.slot_keys.defined() && !rows.slot_values.defined() && rows.image_keys.defined();
  if (!bare) {
    check_rows("slot_keys", rows.slot_keys, {slots, x.size(1)}, device);
    check_rows("slot_values", rows.slot_values, {slots, x.size(1)}, device);
  }
  check_sample_offsets(kOp, plan.sample_offsets, x.size(0));
  check_dropout(kOp, plan.dropout, plan.sample_offsets);
  const int64_t images = check_images(rows, slots, x.size(1), device);
  const int64_t samples = plan.sample_offsets.count() - 1;
  check_like(kOp, "image_of", plan.image_of, {samples}, DType::i32, device);
  if (device != kCpu) return;
  for (int64_t s = 0; s < samples; ++s) {
    const int32_t image = plan.image_of.data<int32_t>()[s];
    require(image >= (bare ? 0 : -1) && image < images, kOp, ": sample ", s, " has image ", image, " of ",
            images, bare ? "; without slots every sample needs one" : "; wanted -1 for none");
  }
}

// Tokens of samples with an image; 0 where only the device knows.
double tokens_with_image(const VisualRowsTensors& rows, const VisualRowsPlan& plan) {
  if (!rows.image_keys || !host_reads(plan.image_of.device())) return 0;
  const int32_t* const offsets = plan.sample_offsets.data<int32_t>();
  double tokens = 0;
  for (int64_t s = 0; s < plan.image_of.count(); ++s)
    if (plan.image_of.data<int32_t>()[s] >= 0) tokens += offsets[s + 1] - offsets[s];
  return tokens;
}

// FLOPs of one side, keys or values: what the learned slots cost, and what the image's terms do. The second
// product of factored terms is not of the width, so that neither of its sides is x or the output.
struct SideFlops {
  double slots, image, within;
};
SideFlops side_flops(double tokens, double width, const VisualRowsTensors& rows, const VisualRowsPlan& plan) {
  const double seeing = tokens_with_image(rows, plan);
  const double slots = rows.slot_keys ? 2 * tokens * width * double(rows.slot_keys.size(0)) : 0;
  if (!rows.basis) return {slots, seeing == 0 ? 0 : 2 * seeing * width * double(rows.image_keys.size(1)), 0};
  const auto terms = double(rows.image_keys.size(1)), rank = double(rows.basis.size(1));
  return {slots, 2 * seeing * width * (rank + 1), 2 * seeing * terms * rank};
}

void count(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan) {
  Trace* const trace = Trace::current();
  if (!trace) return;
  const auto [slots, image, within] = side_flops(double(x.size(0)), double(x.size(1)), rows, plan);
  trace->add_flops(VisualRowsForward::name, 2 * (slots + image + within));
}

// A product forward is two backward, for its two sides, each where it is wanted. The gradient of the scores
// is always.
void count_backward(const Tensor& dy, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                    const Tensor& dx, const VisualRowsTensors& grads) {
  Trace* const trace = Trace::current();
  if (!trace) return;
  const auto [slots, image, within] = side_flops(double(dy.size(0)), double(dy.size(1)), rows, plan);
  const Tensor &shared = rows.basis ? grads.basis : grads.image_keys,
               &shared_values = rows.basis ? grads.basis : grads.image_values;
  double flops = slots + image + within;  // through the values to the scores
  if (dx) flops += slots + image;
  if (grads.slot_keys) flops += slots;
  if (grads.slot_values) flops += slots;
  if (shared) flops += image;
  if (shared_values) flops += image;
  if (dx || grads.basis) flops += within;  // the gradient of x basis
  if (rows.basis && grads.image_keys) flops += within;
  if (rows.basis && grads.image_values) flops += within;
  trace->add_flops(VisualRowsBackward::name, flops);
}

}  // namespace

VisualRowsResult visual_rows(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                             const Tensor& residual) {
  check(x, rows, plan);  // before its sizes are used
  const VisualRowsResult result{Tensor(x.shape(), x.dtype(), x.device()),
                                Tensor({x.size(0), slots_of(rows)}, statistics_dtype(x.dtype()), x.device())};
  visual_rows_into(x, rows, plan, residual, result);
  return result;
}

void visual_rows_into(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                      const Tensor& residual, const VisualRowsResult& result) {
  check(x, rows, plan);
  check_same(kOp, "x", x, "output", result.output);
  if (residual) check_same(kOp, "x", x, "residual", residual);
  check_like(kOp, "scores", result.scores, {x.size(0), slots_of(rows)}, statistics_dtype(x.dtype()),
             x.device());
  count(x, rows, plan);
  run<VisualRowsForward>(x.device().kind, x, rows, plan, residual, result.output, result.scores);
}

void visual_rows_backward(const Tensor& x, const VisualRowsTensors& rows, const VisualRowsPlan& plan,
                          const Tensor& scores, const Tensor& dy, const Tensor& dx,
                          const VisualRowsTensors& grads) {
  count_backward(dy, rows, plan, dx, grads);
  run<VisualRowsBackward>(dy.device().kind, x, rows, plan, scores, dy, dx, grads);
}

}  // namespace dehvf
