#include "layers/fusion/visual_tokens.h"

#include <algorithm>

#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/visual_memory.h"

namespace dehvf {
namespace {

constexpr int32_t kNoToken = -1;

// Builds the batch sample by sample.
struct Sequence {
  std::vector<int32_t> tokens, positions, source, text_rows, offsets{0}, spans;
  std::vector<int64_t> lengths;

  void put(int32_t token, int32_t position, int64_t row) {
    tokens.push_back(token);
    positions.push_back(position);
    source.push_back(int32_t(row));
  }
  void end_sample() {
    const int32_t begin = offsets.back(), count = int32_t(tokens.size()) - begin;
    lengths.push_back(count);
    spans.insert(spans.end(), {begin, count, begin, count});
    offsets.push_back(begin + count);
  }
};

}  // namespace

Place read_place(FusionConfig& config, const std::string& fallback) {
  static const std::string kPlaces[] = {"front", "behind_bos"};
  return config.choice("place", fallback, kPlaces) == "front" ? Place::front : Place::behind_bos;
}

int read_level(const FusionShapes& shapes, FusionConfig& config) {
  return int(config.integer("level", std::max(1, shapes.tower_layers - 1), 1, shapes.tower_layers));
}

std::optional<InputTokens> insert_tokens(const TextBatch& text, int64_t count, Place place,
                                         int64_t first_row) {
  const auto images = text.image_of.span<int32_t>();
  if (std::ranges::none_of(images, [](int32_t image) { return image >= 0; })) return std::nullopt;
  const auto given = text.tokens.span<int32_t>(), at = text.positions.span<int32_t>();
  Sequence all;
  for (size_t s = 0, row = 0; s < images.size(); ++s) {
    const size_t end = row + size_t(text.lengths[s]);
    const size_t first = place == Place::front ? row : std::min(row + 1, end);
    const int64_t visual = images[s] < 0 ? 0 : count;
    const int32_t next = first == row ? (row == end ? 0 : at[row]) : at[first - 1] + 1;
    const auto put_text = [&](size_t until, int64_t shift) {
      for (; row < until; ++row) {
        all.text_rows.push_back(int32_t(all.tokens.size()));
        all.put(given[row], at[row] + int32_t(shift), int64_t(row));
      }
    };
    put_text(first, 0);
    for (int64_t i = 0; i < visual; ++i)
      all.put(kNoToken, next + int32_t(i), text.count() + first_row + images[s] * count + i);
    put_text(end, visual);
    all.end_sample();
  }
  InputTokens result{.batch = text, .source = tensor_of(all.source), .text_rows = tensor_of(all.text_rows)};
  result.batch.lengths = all.lengths;
  result.batch.tokens = tensor_of(all.tokens);
  result.batch.positions = tensor_of(all.positions);
  result.batch.sample_offsets = tensor_of(all.offsets);
  result.batch.spans = tensor_of(all.spans).reshape({text.samples(), 4});
  result.batch.set_images();
  return result;
}

Variable patches_of(const TowerLevels& tower, int level, bool post_norm) {
  const int which[] = {level};
  const Variable all = stack_levels(tower, which, post_norm);
  const Variable rows = reshape(all, {all.shape().rows(), tower.width});
  return tower.class_token ? gather_rows(rows, patch_index(tower, 1, rows.device())) : rows;
}

const Variable& encoded_tokens(const ImageState& state) {
  require(!state.values.empty(), "fusion: texts with images, but no image was looked at");
  return state.values[0];
}

Neutral never_neutral() {
  return {.reason = "a visual token takes its share of every softmax behind it, whatever it holds"};
}

}  // namespace dehvf
