#include "data/length_buckets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <xxhash.h>

#include "core/error.h"
#include "core/random.h"

namespace dehvf {
namespace {

constexpr int64_t kWindow = 32;  // batches
constexpr int64_t kBarWidth = 50;

std::string aligned(int64_t number, size_t width) {
  const std::string text = std::to_string(number);
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

// The smallest of 1, 2, 5, 10, 20, 50, ... that cuts `span` into at most `rows` pieces.
int64_t bar_step(int64_t span, int rows) {
  int64_t step = 1;
  for (int i = 0; (span + step - 1) / step > rows; ++i) step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  return step;
}

}  // namespace

std::vector<std::vector<int64_t>> bucketed_batches(std::span<const int64_t> lengths, int64_t batch_size,
                                                   uint64_t seed, int64_t epoch) {
  require<ConfigError>(batch_size >= 1, "batches: wanted a batch size of at least 1, found ", batch_size);
  Random random(random_key({seed, uint64_t(epoch)}));
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), int64_t(0));
  random.shuffle(order);
  std::vector<std::vector<int64_t>> batches;
  const auto count = int64_t(order.size()), window = kWindow * batch_size;
  for (int64_t begin = 0; begin < count; begin += window) {
    const int64_t end = std::min(count, begin + window);
    std::stable_sort(order.begin() + begin, order.begin() + end,
                     [&](int64_t a, int64_t b) { return lengths[size_t(a)] < lengths[size_t(b)]; });
    for (int64_t at = begin; at < end; at += batch_size)
      batches.emplace_back(order.begin() + at, order.begin() + std::min(end, at + batch_size));
  }
  random.shuffle(batches);
  return batches;
}

BatchSequence::BatchSequence(std::vector<int64_t> lengths, int64_t batch_size, uint64_t seed)
    : lengths_(std::move(lengths)),
      batch_size_(batch_size),
      seed_(seed),
      batches_(bucketed_batches(lengths_, batch_size, seed, 0)) {
  require<ConfigError>(!lengths_.empty(), "batches: wanted at least one sample, found none");
  const uint64_t sum = XXH3_64bits(lengths_.data(), lengths_.size() * sizeof(int64_t));
  cursor_.fingerprint = random_key({sum, uint64_t(batch_size), seed});
}

const std::vector<int64_t>& BatchSequence::next() {
  if (loaded_ != cursor_.epoch) {
    batches_ = bucketed_batches(lengths_, batch_size_, seed_, cursor_.epoch);
    loaded_ = cursor_.epoch;
  }
  const auto& batch = batches_[size_t(cursor_.batch)];
  if (++cursor_.batch == batches_per_epoch()) ++cursor_.epoch, cursor_.batch = 0;
  return batch;
}

void BatchSequence::seek(const BatchCursor& cursor) {
  require<IoError>(cursor.fingerprint == cursor_.fingerprint,
                   "batches: the stored place belongs to other data, batch size or seed (fingerprint ",
                   cursor.fingerprint, ", wanted ", cursor_.fingerprint, "); start anew or restore them");
  require<IoError>(cursor.epoch >= 0 && cursor.batch >= 0 && cursor.batch < batches_per_epoch(),
                   "batches: wanted a stored place below batch ", batches_per_epoch(), ", found epoch ",
                   cursor.epoch, ", batch ", cursor.batch);
  cursor_ = cursor;
}

std::string length_histogram(std::span<const int64_t> lengths, int rows) {
  if (lengths.empty()) return "no samples\n";
  std::vector<int64_t> sorted(lengths.begin(), lengths.end());
  std::ranges::sort(sorted);
  const auto quantile = [&](double share) { return sorted[size_t(share * double(sorted.size() - 1) + 0.5)]; };
  const double mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / double(sorted.size());
  std::string text =
      concat(sorted.size(), " samples, mean ", std::lround(mean), ", min ", sorted.front(), ", median ",
             quantile(0.5), ", 95% ", quantile(0.95), ", max ", sorted.back(), "\n");
  // Bars begin at multiples of the step.
  int64_t step = bar_step(sorted.back() - sorted.front() + 1, rows);
  const int64_t first = sorted.front() / step;
  std::vector<int64_t> counts(size_t(sorted.back() / step - first + 1));
  for (int64_t length : sorted) ++counts[size_t(length / step - first)];
  const int64_t most = *std::ranges::max_element(counts);
  const size_t width = std::to_string(sorted.back() + step).size();
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t low = (first + int64_t(i)) * step;
    const int64_t bar = (counts[i] * kBarWidth + most - 1) / most;
    text += concat(aligned(low, width), step > 1 ? concat("-", aligned(low + step - 1, width)) : "", " ",
                   aligned(counts[i], 7), " ", std::string(size_t(bar), '#'), "\n");
  }
  return text;
}

}  // namespace dehvf
