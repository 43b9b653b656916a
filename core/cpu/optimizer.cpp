#include "core/ops/optimizer.h"

#include <vector>

#include "core/cpu/chunks.h"

namespace dehvf::cpu {
namespace {

template <class C>
void update(const AdamWBuffers& b, const AdamWOptions& o, const StepState& s) {
  C *value = b.value.data<C>(), *first = b.first_moment.data<C>(), *second = b.second_moment.data<C>();
  const C* gradient = b.gradient.data<C>();
  const uint8_t* decay = b.decay.data<uint8_t>();
  const C beta1 = C(o.beta1), beta2 = C(o.beta2), clip = C(s.clip_factor), epsilon = C(o.epsilon);
  const C rate = C(s.learning_rate), shrink = C(s.learning_rate * o.weight_decay);
  const C first_scale = C(1 / s.first_correction), second_scale = C(1 / s.second_correction);
  parallel_ranges(b.value.count(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const C g = gradient[i] * clip;
      first[i] = beta1 * first[i] + (C(1) - beta1) * g;
      second[i] = beta2 * second[i] + (C(1) - beta2) * g * g;
      const C direction = first[i] * first_scale / (std::sqrt(second[i] * second_scale) + epsilon);
      value[i] -= rate * direction + C(decay[i]) * shrink * value[i];
    }
  });
}

void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const StepState& state) {
  if (buffers.value.dtype() == DType::f64)
    update<double>(buffers, options, state);
  else
    update<float>(buffers, options, state);
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

const Provide<AdamW> provide_adamw{{DeviceKind::cpu}, adamw};
const Provide<SquaredNorm> provide_squared_norm{{DeviceKind::cpu}, squared_norm};

}  // namespace
}  // namespace dehvf::cpu
