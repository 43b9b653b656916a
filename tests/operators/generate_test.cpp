// Writing text: what is chosen, and where it ends.
#include "models/generate.h"

#include <gmock/gmock.h>

#include "support/message.h"
#include "train/contract/tiny.h"

namespace dehvf {
namespace {

class Generate : public testing::Test {
 protected:
  FusedModel model_ = tiny::make({"none", {}}, DType::f64);
  TextBatch batch_ = tiny::input(DType::f64).batch();
  std::vector<Generated> write(const GenerateOptions& options) const {
    return generate(model_.llama(), {}, batch_, options);
  }
};

TEST_F(Generate, GreedyTakesTheMostProbable) {
  const auto written = write({.max_new = 1});
  Decoder decoder(model_.llama(), {}, batch_, 1);
  for (int64_t s = 0; s < 3; ++s) {
    const auto line = decoder.logits()[s].span<double>();
    EXPECT_EQ(written[size_t(s)].tokens,
              std::vector<int32_t>{int32_t(std::ranges::max_element(line) - line.begin())});
    EXPECT_FALSE(written[size_t(s)].stopped);
  }
}

TEST_F(Generate, StopsAtStopIdsAndLengths) {
  const auto free = write({.max_new = 6});
  for (const Generated& text : free) EXPECT_EQ(text.tokens.size(), 6u);
  const int32_t stop = free[1].tokens[2];
  const auto first = std::ranges::find(free[1].tokens, stop);
  const auto stopped = write({.max_new = 6, .stop = {stop}});
  EXPECT_TRUE(stopped[1].stopped);
  EXPECT_EQ(stopped[1].tokens, std::vector<int32_t>(free[1].tokens.begin(), first));
  for (const Generated& text : write({.max_new = 0})) EXPECT_TRUE(text.tokens.empty());
}

TEST_F(Generate, EndsWithTheContext) {
  const auto written = write({.max_new = 1000});
  for (int64_t s = 0; s < 3; ++s)  // the last token needs no place
    EXPECT_EQ(int64_t(written[size_t(s)].tokens.size()),
              tiny::llama().context - batch_.lengths[size_t(s)] + 1);
}

TEST_F(Generate, SamplingFollowsTheProbabilities) {
  Decoder decoder(model_.llama(), {}, batch_, 1);
  const auto line = decoder.logits()[0].span<double>();
  std::vector<double> wanted;
  double all = 0;
  for (double logit : line) all += wanted.emplace_back(std::exp(logit / 0.7));
  std::vector<int> seen(line.size(), 0);
  const int draws = 2000;
  for (int seed = 0; seed < draws; ++seed)
    ++seen[size_t(write({.max_new = 1, .temperature = 0.7, .seed = uint64_t(seed)})[0].tokens[0])];
  for (size_t t = 0; t < line.size(); ++t) {  // five standard deviations of a count
    const double p = wanted[t] / all;
    EXPECT_NEAR(seen[t], draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1) << t;
  }
  const int32_t best = write({.max_new = 1})[0].tokens[0];
  for (int seed = 0; seed < 20; ++seed)
    EXPECT_EQ(write({.max_new = 1, .temperature = 5, .top_p = 1e-9, .seed = uint64_t(seed)})[0].tokens[0],
              best);
}

TEST_F(Generate, RefusesWhatItCannotDo) {
  const auto complaint = [&](const GenerateOptions& options) {
    return message_of<ConfigError>([&] { write(options); });
  };
  EXPECT_THAT(complaint({.max_new = -1}), testing::HasSubstr("max_new"));
  EXPECT_THAT(complaint({.temperature = -0.1}), testing::HasSubstr("temperature"));
  EXPECT_THAT(complaint({.top_p = 0}), testing::HasSubstr("top_p"));
  EXPECT_THAT(complaint({.top_p = 1.5}), testing::HasSubstr("top_p"));
  batch_ = pack(std::vector<std::vector<int32_t>>{std::vector<int32_t>(41, 1)});
  EXPECT_THAT(complaint({}), testing::HasSubstr("prompt of 41 tokens"));
}

}  // namespace
}  // namespace dehvf
