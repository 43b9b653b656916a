// Text as the models see it: samples packed one after the other, never padded. Batches are built on the host,
// where forward passes plan with them; kernels read a copy on the model's device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace dehvf {

struct TextBatch {
  std::vector<int64_t> lengths;  // tokens of each sample; 0 only while decoding, for those that ended
  Tensor sample_ids;             // i64 [samples], which of the data set: the key of its random numbers
  Tensor tokens;                 // i32 [tokens]
  Tensor positions;              // i32 [tokens], from 0 in each sample
  Tensor sample_offsets;         // i32 [samples + 1], first token of each sample
  Tensor spans;                  // i32 [samples, 4] for attention: every sample on its own
  Tensor image_of;     // i32 [samples], which of the batch's images (or sets of images) is its own, or -1
  Tensor image_row;    // i32 [tokens], that of its sample plus one; 0 where it has no image
  Tensor image_spans;  // i32 [samples, 4], {first token, tokens, image_row, 1} of each sample

  /// Calls fn for every tensor, in a fixed order; some may be empty.
  template <class Fn>
  void visit(const Fn& fn) {
    for (Tensor* tensor :
         {&sample_ids, &tokens, &positions, &sample_offsets, &spans, &image_of, &image_row, &image_spans})
      fn(*tensor);
  }
  void set_images();  // image_row and image_spans, from lengths and image_of, on the host
  int64_t samples() const { return int64_t(lengths.size()); }
  int64_t count() const { return tokens.count(); }
};

/// Packs token lists. `image_of` may be empty: no sample has an image.
TextBatch pack(std::span<const std::vector<int32_t>> samples, std::span<const int32_t> image_of = {},
               std::span<const int64_t> ids = {});

/// Positions whose next token is labelled, and that token. Labels are unshifted, aligned with the tokens;
/// -100 is ignored.
struct Supervised {
  Tensor rows;                      // i32 [labelled], rows of the packed tokens
  Tensor targets;                   // i32 [labelled]
  std::vector<int64_t> per_sample;  // labelled positions of each sample
};
inline constexpr int32_t kIgnored = -100;
Supervised supervised(const TextBatch& batch, std::span<const std::vector<int32_t>> labels);

}  // namespace dehvf
