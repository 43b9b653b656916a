// Batches: every sample once, similar lengths together, the same order whoever asks, and resuming.
#include "data/length_buckets.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"
#include "support/message.h"

namespace dehvf {
namespace {

std::vector<int64_t> random_lengths(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> lengths(static_cast<size_t>(count));
  for (auto& length : lengths) length = int64_t(std::exp(4 + 0.5 * random.normal())) + 1;
  return lengths;
}

TEST(LengthBuckets, HoldEverySampleOnce) {
  for (int64_t count : {1, 2, 31, 32, 33, 1000, 4099})
    for (int64_t batch_size : {1, 3, 32}) {
      const auto batches = bucketed_batches(random_lengths(count, 1), batch_size, 7, 2);
      std::vector<int64_t> seen;
      int64_t shorter = 0;
      for (const auto& batch : batches) {
        seen.insert(seen.end(), batch.begin(), batch.end());
        shorter += int64_t(batch.size()) != batch_size;
      }
      std::ranges::sort(seen);
      std::vector<int64_t> all(static_cast<size_t>(count));
      std::iota(all.begin(), all.end(), int64_t(0));
      EXPECT_EQ(seen, all);
      EXPECT_EQ(shorter, count % batch_size != 0);
    }
}

TEST(LengthBuckets, WasteLittlePadding) {
  const auto lengths = random_lengths(5000, 3);
  const auto padded = [&](const std::vector<std::vector<int64_t>>& batches) {
    int64_t total = 0;
    for (const auto& batch : batches) {
      int64_t longest = 0;
      for (int64_t i : batch) longest = std::max(longest, lengths[size_t(i)]);
      total += longest * int64_t(batch.size());
    }
    return double(total) / double(std::accumulate(lengths.begin(), lengths.end(), int64_t(0)));
  };
  std::vector<std::vector<int64_t>> plain;
  for (int64_t i = 0; i < 5000; ++i) {
    if (i % 16 == 0) plain.emplace_back();
    plain.back().push_back(i);
  }
  // Waste is what padding adds; batches of arrival order waste most of their length here.
  EXPECT_GT(padded(plain) - 1, 0.8);
  EXPECT_LT(padded(bucketed_batches(lengths, 16, 1, 0)) - 1, (padded(plain) - 1) / 5);
}

TEST(LengthBuckets, DependOnSeedAndEpochOnly) {
  const auto lengths = random_lengths(1000, 5);
  const auto first = bucketed_batches(lengths, 8, 1, 0);
  std::vector<std::vector<std::vector<int64_t>>> many(6);
  parallel_for(6, [&](int64_t i) { many[size_t(i)] = bucketed_batches(lengths, 8, 1, 0); });
  for (const auto& batches : many) EXPECT_EQ(batches, first);
  EXPECT_NE(bucketed_batches(lengths, 8, 1, 1), first);
  EXPECT_NE(bucketed_batches(lengths, 8, 2, 0), first);
}

TEST(LengthBuckets, ShuffleBatchesOfAllLengths) {
  // With one window a sort without the second shuffle would put short batches first.
  std::vector<int64_t> lengths(320);
  std::iota(lengths.begin(), lengths.end(), int64_t(1));
  double early = 0, late = 0;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    const auto batches = bucketed_batches(lengths, 10, 9, epoch);
    for (size_t i = 0; i < batches.size(); ++i)
      (i < 16 ? early : late) += double(lengths[size_t(batches[i][0])]);
  }
  // 800 batches a side, deviation of a length about 92: five deviations of the difference of the means.
  EXPECT_NEAR(early / 800, late / 800, 5 * 92 * std::sqrt(2.0 / 800));
}

TEST(BatchSequence, GoesOnFromAStoredCursor) {
  BatchSequence whole(random_lengths(103, 4), 8, 11);
  EXPECT_EQ(whole.batches_per_epoch(), 13);
  std::vector<std::vector<int64_t>> batches;
  std::vector<BatchCursor> cursors;
  for (int i = 0; i < 40; ++i) {
    cursors.push_back(whole.cursor());
    batches.push_back(whole.next());
  }
  EXPECT_EQ(cursors[13], (BatchCursor{1, 0, cursors[0].fingerprint}));
  for (size_t at : {0u, 1u, 12u, 13u, 14u, 26u, 39u}) {
    BatchSequence resumed(random_lengths(103, 4), 8, 11);
    resumed.next();
    resumed.seek(cursors[at]);
    for (size_t i = at; i < batches.size(); ++i) {
      EXPECT_EQ(resumed.cursor(), cursors[i]);
      EXPECT_EQ(resumed.next(), batches[i]) << at << " " << i;
    }
  }
}

TEST(BatchSequence, RefusesForeignCursors) {
  BatchSequence sequence(random_lengths(103, 4), 8, 11);
  const auto foreign = [&](BatchSequence other) {
    return message_of<IoError>([&] { sequence.seek(other.cursor()); });
  };
  EXPECT_THAT(foreign(BatchSequence(random_lengths(103, 5), 8, 11)), testing::HasSubstr("other data"));
  EXPECT_THAT(foreign(BatchSequence(random_lengths(103, 4), 9, 11)), testing::HasSubstr("other data"));
  EXPECT_THAT(foreign(BatchSequence(random_lengths(103, 4), 8, 12)), testing::HasSubstr("other data"));
  BatchCursor beyond = sequence.cursor();
  beyond.batch = 13;
  EXPECT_THAT(message_of<IoError>([&] { sequence.seek(beyond); }), testing::HasSubstr("below batch 13"));
  EXPECT_THROW(BatchSequence({}, 8, 1), ConfigError);
  EXPECT_THROW(BatchSequence({1}, 0, 1), ConfigError);
}

TEST(LengthHistogram, CountsEachSample) {
  const std::vector<int64_t> lengths{10, 11, 12, 12, 12, 29, 30, 47};
  EXPECT_EQ(length_histogram(lengths, 4),
            "8 samples, mean 20, min 10, median 12, 95% 47, max 47\n"
            "10-19       5 ##################################################\n"
            "20-29       1 ##########\n"
            "30-39       1 ##########\n"
            "40-49       1 ##########\n");
  EXPECT_EQ(length_histogram(std::vector<int64_t>{3, 3, 4}),
            "3 samples, mean 3, min 3, median 3, 95% 4, max 4\n"
            "3       2 ##################################################\n"
            "4       1 #########################\n");
  EXPECT_EQ(length_histogram({}), "no samples\n");
  const std::string wide = length_histogram(random_lengths(5000, 2));
  EXPECT_LE(std::ranges::count(wide, '\n'), 14);
}

}  // namespace
}  // namespace dehvf
