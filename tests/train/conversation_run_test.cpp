// Conversations as training data: what is labelled, which pictures are opened, what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/json.h"
#include "support/message.h"
#include "toy_run.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct ConversationRun : testing::Test {
  const ToyFiles files;
  std::vector<std::string> pictures;  // three of the data set's, from its folder

  ConversationRun() {
    const ScienceQa data(files.data());
    for (const Problem& problem : data.problems())
      if (!problem.image.empty() && pictures.size() < 3)
        pictures.push_back(problem.image.lexically_relative(files.data()).string());
  }
  static Json talk(const Json& image, const std::vector<std::string>& turns) {
    Json list = Json::array();
    for (size_t i = 0; i < turns.size(); ++i)
      list.push_back({{"from", i % 2 ? "gpt" : "human"}, {"value", turns[i]}});
    return {{"id", "c"}, {"image", image}, {"conversations", list}};
  }
  dehvf::Run run(const Json& conversations, const std::vector<std::string>& more = {}) const {
    const auto path = files.data() / "talk.json";
    write_json(path, conversations);
    std::vector<std::string> keys{"data=" + path.string(), "prompt.max_tokens=400"};
    keys.insert(keys.end(), more.begin(), more.end());
    return files.run(keys);
  }
};

TEST_F(ConversationRun, AnswersAndTheirEndsAreLabelled) {
  auto run = this->run(Json::array({talk(pictures[1], {"<image>\nWhat?", "Red.", "And?", "Two."}),
                                    talk(nullptr, {"Who", "me"}), talk(pictures[0], {"What <image>", "a"}),
                                    talk(pictures[1], {"<image>", "b"})}));
  const SplitData data = run.load("nosuch", Use::training);
  ASSERT_EQ(data.examples.size(), 4u);
  EXPECT_EQ(run.description(0).prompt_format, "vicuna_v1");
  std::vector<int32_t> images;
  for (const Example& example : data.examples) images.push_back(example.image);
  EXPECT_THAT(images, ElementsAre(0, -1, 1, 0));
  EXPECT_EQ(data.pictures->count(), 2);
  const Tokenizer& tokenizer = run.tokenizer();
  const auto labelled = [&](const Example& example) {
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < example.labels.size(); ++i)
      if (example.labels[i] != kIgnored) {
        EXPECT_EQ(example.labels[i], example.tokens[i]);
        tokens.push_back(example.labels[i]);
      }
    return tokens;
  };
  EXPECT_EQ(tokenizer.decode(labelled(data.examples[0])), " Red. Two.");
  const auto ends = labelled(data.examples[0]);
  EXPECT_EQ(std::ranges::count(ends, tokenizer.eos()), 2);
  EXPECT_EQ(data.examples[0].tokens.front(), tokenizer.bos());
  EXPECT_THAT(tokenizer.decode(data.examples[0].tokens),
              AllOf(testing::StartsWith("A chat between a curious user"),
                    testing::EndsWith("USER: What? ASSISTANT: Red.USER: And? ASSISTANT: Two.")));
}

TEST_F(ConversationRun, LongOnesLoseTheirEndAndTheFirstAreTakenWhereLimited) {
  const Json two =
      Json::array({talk(nullptr, {"q", "a", std::string(600, 'x'), "b"}), talk(nullptr, {"q", "a"})});
  const SplitData data = run(two, {"train.limit=1"}).load("train", Use::training);
  ASSERT_EQ(data.examples.size(), 1u);
  EXPECT_EQ(data.examples[0].tokens.size(), 400u);
}

TEST_F(ConversationRun, RefusesWhatCannotBeLearned) {
  const auto complaint = [&](const Json& conversations, Use use = Use::training) {
    return message_of<Error>([&] { run(conversations).load("train", use); });
  };
  const Json good = talk(nullptr, {"q", "a"});
  EXPECT_THAT(complaint(Json::array({good}), Use::evaluation), HasSubstr("conversations are for training"));
  EXPECT_THAT(complaint(Json::array()), HasSubstr("holds no conversations"));
  EXPECT_THAT(complaint(Json::array({good, talk("no.png", {"<image>", "a"})})),
              AllOf(HasSubstr("1 of 1 are missing"), HasSubstr("no.png")));
  EXPECT_THAT(
      complaint(Json::array({good, talk(Json::array({pictures[0], pictures[1]}), {"<image><image>", "a"})})),
      HasSubstr("sample 1 of 'train': wanted no picture or fusion.images=1, found 2"));
  EXPECT_THAT(complaint(Json::array({talk(nullptr, {std::string(600, 'x'), "a"})})),
              HasSubstr("no answer within"));
}

}  // namespace
}  // namespace dehvf
