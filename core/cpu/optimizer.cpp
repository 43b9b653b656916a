#include "core/ops/optimizer.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

StepState& in_place(const Tensor& state) { return *static_cast<StepState*>(state.raw()); }

template <class C>
void update(const AdamWBuffers& b, const AdamWOptions& o, const StepState& s) {
  C *value = b.value.data<C>(), *first = b.first_moment.data<C>(), *second = b.second_moment.data<C>();
  const C* gradient = b.gradient.data<C>();
  const uint8_t* decay = b.decay.data<uint8_t>();
  const C beta1 = C(o.beta1), beta2 = C(o.beta2), clip = C(s.clip_factor), epsilon = C(o.epsilon);
  const C rate = C(s.learning_rate), shrink = C(s.learning_rate * o.weight_decay);
  const C first_scale = C(s.first_scale), second_scale = C(s.second_scale);
  parallel_ranges(b.value.count(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const C g = gradient[i] * clip;
      first[i] = beta1 * first[i] + (C(1) - beta1) * g;
      second[i] = beta2 * second[i] + (C(1) - beta2) * g * g;
      const C direction = first[i] * first_scale / (std::sqrt(second[i] * second_scale) + epsilon);
      value[i] -= rate * direction + C(decay[i]) * shrink * value[i];
    }
    if (b.working.defined())
      visit_float(b.working.dtype(), [&]<class W>(std::type_identity<W>) {
        for (int64_t i = begin; i < end; ++i) b.working.data<W>()[i] = W(Compute<W>(value[i]));
      });
  });
}

void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const Tensor& state) {
  if (in_place(state).skip) return;
  if (buffers.value.dtype() == DType::f64)
    update<double>(buffers, options, in_place(state));
  else
    update<float>(buffers, options, in_place(state));
}

void squared_norm(const Tensor& x, const Tensor& norm) {
  visit_float(x.dtype(), [&]<class T>(std::type_identity<T>) {
    std::vector<double> parts(size_t((x.count() + kGrain - 1) / kGrain));
    parallel_ranges(x.count(), kGrain, [&](int64_t begin, int64_t end) {
      double part = 0;
      for (int64_t i = begin; i < end; i += kChunk)
        part += Loaded<T>(x.data<T>() + i, std::min(kChunk, end - i))
                    .array()
                    .template cast<double>()
                    .square()
                    .sum();
      parts[size_t(begin / kGrain)] = part;
    });
    *norm.data<double>() = 0;
    for (double part : parts) *norm.data<double>() += part;
  });
}

template <class T>
int64_t first_not_finite(std::span<const T> x) {
  const auto found = std::ranges::find_if(x, [](T v) { return !std::isfinite(Compute<T>(v)); });
  return found == x.end() ? -1 : found - x.begin();
}

void finish_gradients(const Tensor& gradient, const AdamWOptions& options, double clip, const Tensor& state) {
  StepState& s = in_place(state);
  const Tensor squares(Shape{}, DType::f64);
  squared_norm(gradient, squares);
  s.gradient_norm = std::sqrt(*squares.data<double>());
  s.skip = !std::isfinite(s.gradient_norm) || !std::isfinite(s.loss);
  s.not_finite = -1;
  if (s.skip)
    s.not_finite = visit_float(gradient.dtype(), [&]<class T>(std::type_identity<T>) {
      return first_not_finite<T>(gradient.span<T>());
    });
  s.clip_factor = clip > 0 && s.gradient_norm > clip ? clip / s.gradient_norm : 1;
  s.first_scale = 1 / (1 - std::pow(options.beta1, double(s.updates + 1)));
  s.second_scale = 1 / (1 - std::pow(options.beta2, double(s.updates + 1)));
}

void add_loss(const Tensor& loss, const Tensor& state) { in_place(state).loss += item(loss); }

const Provide<AdamW> provide_adamw{{DeviceKind::cpu}, adamw};
const Provide<AddLoss> provide_add_loss{{DeviceKind::cpu}, add_loss};
const Provide<FinishGradients> provide_finish_gradients{{DeviceKind::cpu}, finish_gradients};
const Provide<SquaredNorm> provide_squared_norm{{DeviceKind::cpu}, squared_norm};

}  // namespace
}  // namespace dehvf::cpu
