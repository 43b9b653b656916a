#include "core/ops/dropout.h"

#include "core/ops/check.h"
#include "core/ops/step_state.h"
#include "core/random.h"

namespace dehvf {

uint64_t dropout_key(const DropoutSpec& spec) {
  const uint64_t step = spec.step_state.defined() ? read_step(spec.step_state).step : spec.step;
  return random_key({spec.seed, step, spec.layer});
}

void check_sample_offsets(std::string_view op, const Tensor& sample_offsets, int64_t tokens) {
  require(sample_offsets.defined() && sample_offsets.shape().rank() == 1 && sample_offsets.count() > 0, op,
          ": sample_offsets is ", sample_offsets.defined() ? concat(sample_offsets.shape()) : "empty",
          ", wanted [samples + 1]");
  require<DTypeError>(sample_offsets.dtype() == DType::i32, op, ": sample_offsets is ",
                      sample_offsets.dtype(), ", wanted i32");
  if (sample_offsets.device() != kCpu) return;
  const auto offsets = sample_offsets.span<int32_t>();
  require(offsets.front() == 0 && offsets.back() == tokens, op, ": sample_offsets runs from ",
          offsets.front(), " to ", offsets.back(), ", wanted 0 to ", tokens, " tokens");
  for (size_t i = 1; i < offsets.size(); ++i)
    require(offsets[i - 1] <= offsets[i], op, ": sample_offsets falls from ", offsets[i - 1], " to ",
            offsets[i], " at sample ", i - 1);
}

void check_dropout(std::string_view op, const DropoutSpec& spec, const Tensor& sample_offsets) {
  require<ConfigError>(spec.rate >= 0 && spec.rate < 1, op, ": dropout rate ", spec.rate,
                       " is not in [0, 1)");
  if (spec.rate > 0)
    check_like(op, "dropout.sample_ids", spec.sample_ids, {sample_offsets.count() - 1}, DType::i64,
               sample_offsets.device());
  if (spec.rate > 0 && spec.step_state.defined())
    check_step_state(op, spec.step_state, sample_offsets.device());
  if (spec.rate > 0 && spec.positions.defined() && sample_offsets.device() == kCpu)
    check_like(op, "dropout.positions", spec.positions,
               {sample_offsets.data<int32_t>()[sample_offsets.count() - 1]}, DType::i32,
               sample_offsets.device());
}

Tensor dropout(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec) {
  check_float("dropout", "x", x);
  require(x.shape().rank() == 2, "dropout: x is ", x.shape(), ", wanted [tokens, width]");
  check_sample_offsets("dropout", sample_offsets, x.size(0));
  check_dropout("dropout", spec, sample_offsets);
  if (spec.rate == 0) return x;
  Tensor y(x.shape(), x.dtype(), x.device());
  run<Dropout>(x.device().kind, x, sample_offsets, spec, y);
  return y;
}

Tensor dropout_mask(int64_t width, const Tensor& sample_offsets, const DropoutSpec& spec, DType dtype) {
  const Tensor host = sample_offsets.to(kCpu);
  const int64_t tokens = host.data<int32_t>()[host.count() - 1];
  return dropout(full({tokens, width}, 1, dtype, sample_offsets.device()), sample_offsets, spec);
}

}  // namespace dehvf
