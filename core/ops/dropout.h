// Dropout whose mask is a function of what an element is, never of where or when it is computed.
#pragma once

#include "core/kernel.h"
#include "core/tensor.h"

namespace dehvf {

/// An element is named by (seed, step, layer, sample id, position of the token in its sample, slot): its word
/// is philox(counter {position, slot / 4, id low, id high}, key {seed, step, layer})[slot % 4], and it is
/// dropped where word < rate 2^32. The rest is multiplied by 1 / (1 - rate). Two uses of one layer need
/// different seeds.
struct DropoutSpec {
  double rate = 0;  // in [0, 1); 0 is off, and sample_ids may then be empty
  uint64_t seed = 0, step = 0, layer = 0;
  Tensor sample_ids;  // i64 [samples]
  Tensor
      positions;  // i32 [tokens]: of the tokens in their samples, where not all of them are here; else empty
  Tensor step_state;  // a StepState whose step stands for `step`, for captured graphs; else empty
};

/// The key {seed, step, layer}; a step state must be on the CPU.
uint64_t dropout_key(const DropoutSpec& spec);

struct Dropout : KernelTag<Dropout, void(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec&,
                                         const Tensor& y)> {
  static constexpr std::string_view name = "dropout";
};

/// x [tokens, width]; sample s owns the tokens [sample_offsets[s], sample_offsets[s + 1]), i32 [samples + 1].
/// The gradient is the same function of dy. Returns x itself where the rate is 0.
Tensor dropout(const Tensor& x, const Tensor& sample_offsets, const DropoutSpec& spec);

/// The factors by which dropout multiplies: 0 or 1 / (1 - rate), [tokens, width].
Tensor dropout_mask(int64_t width, const Tensor& sample_offsets, const DropoutSpec& spec, DType dtype);

/// Throws unless `sample_offsets` is i32 [samples + 1] and, where the host can read it, rises from 0 to
/// `tokens`.
void check_sample_offsets(std::string_view op, const Tensor& sample_offsets, int64_t tokens);
void check_dropout(std::string_view op, const DropoutSpec& spec, const Tensor& sample_offsets);

}  // namespace dehvf
