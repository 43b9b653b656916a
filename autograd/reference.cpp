#include "autograd/reference.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/drop_lowest.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/rows.h"

namespace dehvf {
namespace {

using Function = std::function<double(double)>;

// fn of every element, with the gradient dy slope(x).
Variable pointwise(std::string_view name, const Variable& x, const Function& fn, const Function& slope) {
  const auto each = [&](const Function& f) {
    const Tensor from = x.value();
    Tensor to(from.shape(), from.dtype());
    visit_float(from.dtype(), [&]<class T>(std::type_identity<T>) {
      for (int64_t i = 0; i < from.count(); ++i)
        to.data<T>()[i] = T(Compute<T>(f(double(Compute<T>(from.data<T>()[i])))));
    });
    return to;
  };
  return record(name, each(fn), {x}, [slopes = each(slope)](const Tensor& dy, const Wanted&) {
    return Grads{multiply(dy, slopes)};
  });
}

Variable exponential(const Variable& x) {
  const Function fn = [](double v) { return std::exp(v); };
  return pointwise("exp", x, fn, fn);
}

Variable logarithm(const Variable& x) {
  return pointwise(
      "log", x, [](double v) { return std::log(v); }, [](double v) { return 1 / v; });
}

Variable power(const Variable& x, double shift, double exponent) {  // (x + shift)^exponent
  return pointwise(
      "power", x, [=](double v) { return std::pow(v + shift, exponent); },
      [=](double v) { return exponent * std::pow(v + shift, exponent - 1); });
}

Tensor constant(const Shape& shape, DType dtype,
                const std::function<double(int64_t row, int64_t column)>& fn) {
  Tensor result(shape, dtype);
  const int64_t width = shape.last();
  visit_float(dtype, [&]<class T>(std::type_identity<T>) {
    for (int64_t i = 0; i < result.count(); ++i)
      result.data<T>()[i] = T(Compute<T>(fn(i / width, i % width)));
  });
  return result;
}

Variable flat(const Variable& x) { return reshape(x, {x.shape().rows(), x.shape().last()}); }

Variable entry(const Variable& x, int64_t index) {  // x[index] of a batch of matrices
  const Shape& s = x.shape();
  return reshape(slice_rows(reshape(x, {s[0], s[1] * s[2]}), index, index + 1), {s[1], s[2]});
}

Variable row_sums(const Variable& x) {  // [rows, width] -> [rows]
  return reshape(matmul(x, full({x.shape()[1], 1}, 1, x.dtype())), {x.shape()[0]});
}

Variable subtract_column(const Variable& x, const Variable& column) {
  return add(x, scale(multiply_column(full(x.shape(), 1, x.dtype()), column), -1));
}

// The largest entry of each row, as a constant: softmax does not change with it.
Tensor row_maxima(const Tensor& x) {
  Tensor maxima({x.size(0)}, x.dtype());
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto less = [](T a, T b) { return Compute<T>(a) < Compute<T>(b); };
    for (int64_t r = 0; r < x.size(0); ++r)
      maxima.data<T>()[r] = *std::ranges::max_element(x[r].span<T>(), less);
  });
  return maxima;
}

}  // namespace

Variable swiglu_reference(const Variable& gate, const Variable& up) {
  return multiply(activate(gate, Activation::silu), up);
}

Variable softmax_reference(const Variable& x) {
  const Variable rows = flat(x);
  const Variable exponentials = exponential(subtract_column(rows, row_maxima(rows.value())));
  return reshape(multiply_column(exponentials, power(row_sums(exponentials), 0, -1)), x.shape());
}

Variable rms_norm_reference(const Variable& x, const Variable& weight, double eps) {
  const Variable rows = flat(x);
  const Variable mean_square = scale(row_sums(multiply(rows, rows)), 1 / double(x.shape().last()));
  return reshape(multiply_row(multiply_column(rows, power(mean_square, eps, -0.5)), weight), x.shape());
}

Variable layer_norm_reference(const Variable& x, const Variable& weight, const Variable& bias, double eps) {
  const Variable rows = flat(x);
  const double inverse = 1 / double(x.shape().last());
  const Variable centred = subtract_column(rows, scale(row_sums(rows), inverse));
  const Variable variance = scale(row_sums(multiply(centred, centred)), inverse);
  const Variable normalised = multiply_column(centred, power(variance, eps, -0.5));
  return reshape(add_row(multiply_row(normalised, weight), bias), x.shape());
}

Variable attention_reference(const Variable& q, const Variable& k, const Variable& v, const Tensor& spans,
                             const AttentionOptions& options) {
  const int64_t heads = q.shape()[1], dim = q.shape()[2], group = heads / k.shape()[1];
  const auto matrix = [](const Variable& x) {
    return reshape(x, {x.shape()[0], x.shape()[1] * x.shape()[2]});
  };
  const auto cut = [&](const Variable& x, int64_t begin, int64_t count, int64_t head) {
    return slice_columns(slice_rows(x, begin, begin + count), head * dim, (head + 1) * dim);
  };
  const Variable all_q = matrix(q), all_k = matrix(k), all_v = matrix(v);
  std::vector<Variable> outputs;
  for (int64_t s = 0; s < spans.size(0); ++s) {
    const auto span = spans[s].span<int32_t>();
    const int64_t queries = span[1], keys = span[3];
    const auto seen = [&](int64_t i, int64_t j) { return !options.causal || j < keys - queries + i + 1; };
    const Tensor hidden =
        constant({queries, keys}, q.dtype(), [&](int64_t i, int64_t j) { return seen(i, j) ? 0 : -1e4; });
    std::vector<Variable> by_head;
    for (int64_t h = 0; h < heads; ++h) {
      const Variable head_k = cut(all_k, span[2], keys, h / group),
                     head_v = cut(all_v, span[2], keys, h / group);
      const Variable scores = scale(matmul(cut(all_q, span[0], queries, h), head_k, true), options.scale);
      by_head.push_back(matmul(softmax_reference(add(scores, hidden)), head_v));
    }
    outputs.push_back(concat_columns(by_head));
  }
  return reshape(concat_rows(outputs), q.shape());
}

Variable cross_entropy_reference(const Variable& hidden, const Variable& head, const Tensor& targets) {
  const Variable logits = linear(hidden, head);
  const Tensor maxima = row_maxima(logits.value());
  const int32_t* target = targets.data<int32_t>();
  const Tensor chosen =
      constant(logits.shape(), logits.dtype(), [&](int64_t r, int64_t c) { return c == target[r]; });
  const Variable log_sum = logarithm(row_sums(exponential(subtract_column(logits, maxima))));
  return add(add(log_sum, maxima), scale(row_sums(multiply(logits, chosen)), -1));
}

Variable visual_rows_reference(const Variable& x, const VisualRows& rows, const Tensor& mask) {
  const int32_t *offsets = rows.plan.sample_offsets.data<int32_t>(),
                *image_of = rows.plan.image_of.data<int32_t>();
  // slot_rows + lambda [image terms of one image, padded with zeros to n rows]
  const auto shifted = [&](const Variable& slot_rows, const Variable& images, int64_t image) {
    if (image < 0) return slot_rows;
    Variable terms = entry(images, image);
    if (!slot_rows.defined()) return scale(terms, rows.plan.lambda);
    if (rows.basis.defined()) terms = linear(terms, rows.basis, rows.bias);
    const int64_t surplus = slot_rows.shape()[0] - terms.shape()[0];
    const std::array<Variable, 2> padded{terms, zeros({surplus, terms.shape()[1]}, terms.dtype())};
    return add(slot_rows, scale(concat_rows(padded), rows.plan.lambda));
  };
  std::vector<Variable> outputs;
  for (int64_t s = 0; s < rows.plan.image_of.count(); ++s) {
    const int64_t begin = offsets[s], end = offsets[s + 1];
    if (begin == end) continue;
    const Variable keys = shifted(rows.slot_keys, rows.image_keys, image_of[s]);
    const Variable values = shifted(rows.slot_values, rows.image_values, image_of[s]);
    Variable weights = matmul(slice_rows(x, begin, end), keys, true);
    if (rows.plan.activation) weights = activate(weights, *rows.plan.activation);
    if (mask.defined()) weights = multiply(weights, mask.slice(begin, end));
    if (rows.plan.dropped > 0) weights = drop_lowest(weights, rows.plan.dropped);
    outputs.push_back(scale(matmul(weights, values), rows.plan.scale));
  }
  return concat_rows(outputs);
}

}  // namespace dehvf
