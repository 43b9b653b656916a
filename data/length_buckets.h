// The order in which samples are met in training: shuffled anew each epoch, in batches of similar length, and
// a function of seed and epoch alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dehvf {

/// One epoch's batches of sample indices; every index stands in exactly one. All batches have `batch_size`
/// samples but one, which takes the rest. Samples are shuffled, sorted by length within windows of 32
/// batches, and the batches shuffled again, so that padding is small and no batch is known by its place.
std::vector<std::vector<int64_t>> bucketed_batches(std::span<const int64_t> lengths, int64_t batch_size,
                                                   uint64_t seed, int64_t epoch);

/// A place in the endless sequence of batches. `fingerprint` names lengths, batch size and seed.
struct BatchCursor {
  int64_t epoch = 0, batch = 0;
  uint64_t fingerprint = 0;
  bool operator==(const BatchCursor&) const = default;
};

class BatchSequence {
 public:
  BatchSequence(std::vector<int64_t> lengths, int64_t batch_size, uint64_t seed);

  int64_t batches_per_epoch() const { return int64_t(batches_.size()); }
  const std::vector<int64_t>& next();  // valid until the next call; an epoch follows the last
  const BatchCursor& cursor() const { return cursor_; }  // of the batch that next() will return

  /// Goes on from a stored cursor. Throws IoError when it belongs to other data, batch size or seed.
  void seek(const BatchCursor& cursor);

 private:
  std::vector<int64_t> lengths_;
  int64_t batch_size_;
  uint64_t seed_;
  BatchCursor cursor_;
  std::vector<std::vector<int64_t>> batches_;  // of epoch loaded_
  int64_t loaded_ = 0;
};

/// A histogram of lengths as lines of text: count, mean, quantiles, then about `rows` bars.
std::string length_histogram(std::span<const int64_t> lengths, int rows = 12);

}  // namespace dehvf
