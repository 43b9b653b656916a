// Every registered operator: writing token by token with a cache is the full forward pass, and a batch is its
// samples.
#include <gmock/gmock.h>

#include "core/random.h"
#include "models/generate.h"
#include "operators/tiny.h"
#include "support/golden.h"
#include "support/message.h"

namespace dehvf {
namespace {

class OperatorDecode : public testing::TestWithParam<tiny::Case> {
 protected:
  FusedModel model_ = tiny::make(GetParam(), DType::f64);
  tiny::Input in_ = tiny::input(DType::f64);
  Vision vision_ = model_.see(model_.look(in_.pixels));

  // Logits after the last token of every sample, by the full forward pass.
  Tensor last_logits(const tiny::Input& in) const {
    const NoGrad no_grad;
    const TextBatch batch = in.batch();
    std::vector<int32_t> last;
    for (int64_t s = 0; s < batch.samples(); ++s)
      last.push_back(batch.sample_offsets.data<int32_t>()[s + 1] - 1);
    return model_.llama().logits(model_.hidden(model_.plan(batch, tensor_of(last)), vision_, {})).value();
  }
  std::vector<Generated> write(const tiny::Input& in, const GenerateOptions& options) const {
    return generate(model_.llama(), vision_, in.batch(), options);
  }
};
INSTANTIATE_TEST_SUITE_P(All, OperatorDecode, testing::ValuesIn(tiny::all_cases()));

TEST_P(OperatorDecode, CacheIsTheFullForwardPass) {
  Decoder decoder(model_.llama(), vision_, in_.batch(), 6);
  tiny::Input text = in_;
  std::vector<int64_t> live{0, 1, 2};
  Random random(5);
  for (int step = 0; step < 6; ++step) {
    ASSERT_EQ(decoder.live(), live);
    const Tensor full = last_logits(text);
    for (size_t i = 0; i < live.size(); ++i)
      EXPECT_LT(relative_error(decoder.logits()[int64_t(i)], full[live[i]]), 1e-12)
          << "step " << step << ", sample " << live[i];
    std::vector<int32_t> next;
    for (int64_t s : live) {
      const bool ends = (step == 2 && s == 1) || (step == 4 && s == 0);
      next.push_back(ends ? Decoder::kEnd : int32_t(random.below(tiny::llama().vocab)));
      if (!ends) text.tokens[size_t(s)].push_back(next.back());
    }
    decoder.advance(next);
    if (step == 2) live = {0, 2};
    if (step == 4) live = {2};
  }
}

TEST_P(OperatorDecode, BatchIsItsSamples) {
  for (double temperature : {0.0, 0.8}) {
    const GenerateOptions options{
        .max_new = 9, .stop = {3, 8}, .temperature = temperature, .top_p = 0.9, .seed = 21};
    const auto together = write(in_, options);
    for (int s = 0; s < 3; ++s) {
      const auto alone = write(in_.select(std::vector<int>{s}), options);
      EXPECT_EQ(alone[0].tokens, together[size_t(s)].tokens) << s;
      EXPECT_EQ(alone[0].stopped, together[size_t(s)].stopped) << s;
    }
  }
}

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
