// A batch of texts as a forward pass reads it: every index table is made here, on the host, so that the pass
// itself plans nothing. Two plans whose tensors have equal shapes make the same kernels run.
#pragma once

#include "layers/fusion/operator.h"

namespace dehvf {

struct TextPlan {
  TextPlan() = default;
  TextPlan(const TextBatch& text) : tokens(text.tokens), batch(text) {}  // all rows, nothing put in

  Tensor tokens;     // i32 [text tokens]: the texts' own
  Tensor source;     // i32 [batch.count()]: as InputTokens has it; empty where nothing is put in
  TextBatch batch;   // of what enters the blocks
  Tensor rows;       // i32: the only rows of it whose last output is wanted, ascending; empty for all
  TextBatch chosen;  // those rows; each asks for the keys up to its own position

  /// Calls fn for every tensor, in a fixed order; some are empty.
  template <class Fn>
  void visit(const Fn& fn) {
    for (Tensor* tensor : {&tokens, &source, &rows}) fn(*tensor);
    batch.visit(fn);
    chosen.visit(fn);
  }
  TextPlan to(Device device) const;
};

/// `rows` count the texts' own tokens, whatever `fusion` (or null) puts in between, and ask for what predicts
/// the token behind each: what is put in behind a row stands for it. Empty for all rows, of what is put in
/// too. Throws ShapeError unless they ascend.
TextPlan plan_text(const TextBatch& text, const Tensor& rows, const FusionOperator* fusion);

}  // namespace dehvf
