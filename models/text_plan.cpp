#include "models/text_plan.h"

#include <algorithm>

namespace dehvf {
namespace {

// The last row in front of the text's next token, or of its sample: what stands behind `row` is predicted
// there.
Tensor moved_rows(const Tensor& rows, const TextBatch& text, const InputTokens& inserted) {
  const auto begins = text.sample_offsets.span<int32_t>();
  const auto ends = inserted.batch.sample_offsets.span<int32_t>();
  std::vector<int32_t> moved;
  for (int32_t row : rows.span<int32_t>()) {
    const auto next = std::ranges::upper_bound(begins, row);
    const bool last = row + 1 == *next;
    moved.push_back(
        (last ? ends[size_t(next - begins.begin())] : inserted.text_rows.data<int32_t>()[row + 1]) - 1);
  }
  return tensor_of(moved);
}

Tensor row_spans(const TextBatch& batch, const Tensor& rows) {
  const auto offsets = batch.sample_offsets.span<int32_t>();
  std::vector<int32_t> spans;
  for (int32_t i = 0; int32_t row : rows.span<int32_t>()) {
    const int32_t begin = *std::prev(std::ranges::upper_bound(offsets, row));
    spans.insert(spans.end(), {i++, 1, begin, row - begin + 1});
  }
  return tensor_of(spans).reshape({rows.count(), 4});
}

void check_rows(const Tensor& rows, int64_t count) {
  const auto all = rows.span<int32_t>();
  require(std::ranges::is_sorted(all) && (all.empty() || (all[0] >= 0 && all[all.size() - 1] < count)),
          "rows: wanted ascending rows of ", count, " tokens");
}

TextBatch select_rows(const TextBatch& batch, const Tensor& rows) {
  const auto all = rows.span<int32_t>();
  TextBatch part = batch;
  std::vector<int32_t> tokens, positions, offsets;
  for (int32_t row : all) {
    tokens.push_back(batch.tokens.data<int32_t>()[row]);
    positions.push_back(batch.positions.data<int32_t>()[row]);
  }
  for (int32_t offset : batch.sample_offsets.span<int32_t>())
    offsets.push_back(int32_t(std::ranges::lower_bound(all, offset) - all.begin()));
  for (size_t s = 0; s + 1 < offsets.size(); ++s) part.lengths[s] = offsets[s + 1] - offsets[s];
  part.tokens = tensor_of(tokens);
  part.positions = tensor_of(positions);
  part.sample_offsets = tensor_of(offsets);
  part.spans = row_spans(batch, rows);
  part.set_images();
  return part;
}

}  // namespace

TextPlan TextPlan::to(Device device) const {
  TextPlan moved = *this;
  moved.visit([&](Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.to(device);
  });
  return moved;
}

TextPlan plan_text(const TextBatch& text, const Tensor& rows, const FusionOperator* fusion) {
  TextPlan plan(text);
  plan.rows = rows;
  if (rows.defined()) check_rows(rows, text.count());
  if (const auto inserted = fusion ? fusion->insert(text) : std::nullopt) {
    plan.batch = inserted->batch;
    plan.source = inserted->source;
    if (rows.defined()) plan.rows = moved_rows(rows, text, *inserted);
  }
  if (rows.defined()) plan.chosen = select_rows(plan.batch, plan.rows);
  return plan;
}

}  // namespace dehvf
