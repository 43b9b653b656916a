#include "layers/batch.h"

#include <numeric>

namespace dehvf {

TextBatch pack(std::span<const std::vector<int32_t>> samples, std::span<const int32_t> image_of,
               std::span<const int64_t> ids) {
  require(!samples.empty(), "pack: no samples");
  require(image_of.empty() || image_of.size() == samples.size(), "pack: ", samples.size(),
          " samples, image_of has ", image_of.size());
  require(ids.empty() || ids.size() == samples.size(), "pack: ", samples.size(), " samples, ids has ",
          ids.size());
  TextBatch batch;
  std::vector<int32_t> tokens, positions, offsets{0}, spans;
  for (size_t i = 0; i < samples.size(); ++i) {
    require(!samples[i].empty(), "pack: sample ", i, " has no tokens");
    const auto begin = int32_t(tokens.size()), length = int32_t(samples[i].size());
    tokens.insert(tokens.end(), samples[i].begin(), samples[i].end());
    for (int32_t p = 0; p < length; ++p) positions.push_back(p);
    spans.insert(spans.end(), {begin, length, begin, length});
    offsets.push_back(begin + length);
    batch.lengths.push_back(length);
  }
  std::vector<int64_t> sample_ids(ids.begin(), ids.end());
  if (ids.empty())
    sample_ids.resize(samples.size()), std::iota(sample_ids.begin(), sample_ids.end(), int64_t(0));
  batch.sample_ids = tensor_of(sample_ids);
  batch.tokens = tensor_of(tokens);
  batch.positions = tensor_of(positions);
  batch.sample_offsets = tensor_of(offsets);
  batch.spans = tensor_of(spans).reshape({batch.samples(), 4});
  batch.image_of = image_of.empty() ? tensor_of(std::vector<int32_t>(samples.size(), -1))
                                    : tensor_of(image_of, Shape{batch.samples()});
  batch.set_images();
  return batch;
}

void TextBatch::set_images() {
  std::vector<int32_t> rows, spans;
  for (size_t s = 0; s < lengths.size(); ++s) {
    const auto begin = int32_t(rows.size()), count = int32_t(lengths[s]),
               row = image_of.data<int32_t>()[s] + 1;
    rows.insert(rows.end(), size_t(count), row);
    spans.insert(spans.end(), {begin, count, row, 1});
  }
  image_row = tensor_of(rows);
  image_spans = tensor_of(spans).reshape({samples(), 4});
}

Supervised supervised(const TextBatch& batch, std::span<const std::vector<int32_t>> labels) {
  require(int64_t(labels.size()) == batch.samples(), "labels: ", labels.size(), " lists for ",
          batch.samples(), " samples");
  Supervised result;
  std::vector<int32_t> rows, targets;
  int32_t begin = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    require(int64_t(labels[i].size()) == batch.lengths[i], "labels: sample ", i, " has ", batch.lengths[i],
            " tokens and ", labels[i].size(), " labels");
    const size_t before = rows.size();
    for (size_t p = 0; p + 1 < labels[i].size(); ++p)
      if (labels[i][p + 1] != kIgnored)
        rows.push_back(begin + int32_t(p)), targets.push_back(labels[i][p + 1]);
    result.per_sample.push_back(int64_t(rows.size() - before));
    begin += int32_t(batch.lengths[i]);
  }
  result.rows = tensor_of(rows);
  result.targets = tensor_of(targets);
  return result;
}

}  // namespace dehvf
