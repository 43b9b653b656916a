// Counts of lengths: their parts by hand, the file there and back, files that are none.
#include "data/length_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/random.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using ::testing::HasSubstr;

TEST(LengthCounts, PartsAreMeansOfEquallyManyTexts) {
  const LengthCounts counts{.counts = {{{10, 2, false}, 3}, {{20, 4, true}, 1}, {{40, 4, true}, 2}}};
  const auto parts = counts.parts(2);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].tokens, 10);
  EXPECT_EQ(parts[0].labelled, 2);
  EXPECT_EQ(parts[0].pictures, 0);
  EXPECT_EQ(parts[1].tokens, 33);  // (20 + 40 + 40) / 3
  EXPECT_EQ(parts[1].labelled, 4);
  EXPECT_EQ(parts[1].pictures, 1);
  // Two texts and a half in the first part.
  const LengthCounts odd{.counts = {{{10, 2, false}, 2}, {{20, 2, true}, 3}}};
  EXPECT_EQ(odd.parts(2)[0].tokens, 12);
  const auto one = LengthCounts{.counts = {{{7, 1, false}, 1}, {{7, 1, true}, 3}}}.parts(5);
  ASSERT_EQ(one.size(), 1u) << "all of one length";
  EXPECT_NEAR(one[0].share, 1, 1e-12);
  EXPECT_NEAR(one[0].pictures, 0.75, 1e-12);
}

TEST(LengthCounts, PartsKeepTokensAndPictures) {
  Random random(11);
  LengthCounts counts;
  double tokens = 0, pictures = 0, all = 0;
  for (int i = 0; i < 300; ++i) {
    const LengthCounts::Text text{2 + int64_t(random.below(400)), 1, random.below(2) == 1};
    const auto count = int64_t(1 + random.below(9));
    counts.counts[text] += count;
    tokens += double(count * text.tokens), all += double(count);
    pictures += text.picture ? double(count) : 0;
  }
  double mean_tokens = 0, mean_pictures = 0, share = 0;
  for (const auto& part : counts.parts(5)) {
    mean_tokens += part.share * double(part.tokens);
    mean_pictures += part.share * part.pictures;
    share += part.share;
  }
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NEAR(mean_tokens, tokens / all, 0.5);  // rounded
  EXPECT_NEAR(mean_pictures, pictures / all, 1e-9);
}

TEST(LengthCounts, GoThroughAFile) {
  const TemporaryFolder folder;
  const LengthCounts counts{.tokenizer = "a \"tokenizer\"",
                            .counts = {{{10, 2, false}, 3}, {{10, 2, true}, 1}, {{40, 4, true}, 2}}};
  write_length_counts(folder / "counts.json", counts);
  const LengthCounts read = read_length_counts(folder / "counts.json");
  EXPECT_EQ(read.tokenizer, counts.tokenizer);
  EXPECT_EQ(read.counts, counts.counts);
}

TEST(LengthCounts, OtherFilesAreRefusedInOneLine) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text) {
    write_file(folder / "counts.json", text);
    return message_of<IoError>([&] { read_length_counts(folder / "counts.json"); });
  };
  const auto with = [](const std::string& texts) {
    return R"({"format_version": 1, "tokenizer": "t", "texts": [)" + texts + "]}";
  };
  EXPECT_THAT(refused("[]"), HasSubstr("wanted counts of lengths, as `dehvf inspect DATA"));
  EXPECT_THAT(refused(R"({"format_version": 2, "tokenizer": "t", "texts": []})"), HasSubstr("found 2"));
  EXPECT_THAT(refused(with("")), HasSubstr("counts no texts"));
  EXPECT_THAT(refused(with("[5, 1, 0, 0]")), HasSubstr("counts no texts"));
  for (const char* row : {"[5, 5, 1, 0]", "[5, 1, 1]", "[5, 0, 1, 1]", "[5, 1, -1, 1]", "[5.5, 1, 1, 1]", "7",
                          "[1e99, 1, 1, 1]"})
    EXPECT_THAT(refused(with(concat("[9, 1, 1, 1], ", row))), HasSubstr("text 1: wanted [tokens,")) << row;
}

}  // namespace
}  // namespace dehvf
