// LLaVA's conversation files: records one by one, and what is refused.
#include "data/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Conversation> read(const std::string& text) {
  TemporaryFolder folder;
  spill(folder / "c.json", text);
  std::vector<Conversation> all;
  each_conversation(folder / "c.json", [&](Conversation conversation) {
    all.push_back(std::move(conversation));
    return true;
  });
  return all;
}

std::string complaint(const std::string& text) {
  return message_of<IoError>([&] { read(text); });
}

std::string record(const std::string& more, const std::string& question = "q") {
  return R"({)" + more + R"("conversations": [{"from": "human", "value": ")" + question +
         R"("}, {"from": "gpt", "value": "a"}]})";
}

TEST(Conversations, ReadsEveryKindOfRecord) {
  const auto all =
      read(std::string(" [") +
           record(R"("id": "x", "image": "coco/1.jpg", "model": "", )", "<image>\\nWhat \\\"]}{[\\\\?") +
           std::string(",\n") + record(R"("id": 7, )") + ", " +
           record(R"("image": ["a.png", "b.png"], )", "<image> or <image>?") +
           R"(, {"conversations": [{"from": "gpt", "value": "dropped"}, {"from": "human", "value": "q"},
                            {"from": "gpt", "value": "a"}, {"from": "human", "value": "q2"}]}] )");
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].id, "x");
  EXPECT_THAT(all[0].images, ElementsAre("coco/1.jpg"));
  EXPECT_EQ(all[0].turns[0].text, "<image>\nWhat \"]}{[\\?");
  EXPECT_TRUE(all[0].turns[0].human);
  EXPECT_EQ(all[0].turns[1].text, "a");
  EXPECT_FALSE(all[0].turns[1].human);
  EXPECT_EQ(all[1].id, "7");
  EXPECT_THAT(all[1].images, IsEmpty());
  EXPECT_THAT(all[2].images, ElementsAre("a.png", "b.png"));
  EXPECT_EQ(all[2].id, "2");
  ASSERT_EQ(all[3].turns.size(), 3u);
  EXPECT_EQ(all[3].turns[0].text, "q");
  EXPECT_THAT(read("[]"), IsEmpty());
}

// Records of all lengths, so that the ends of the buffer fall everywhere.
TEST(Conversations, AreNotCutWhereTheBufferEnds) {
  Random random(3);
  std::string text = "[";
  std::vector<size_t> lengths;
  for (int i = 0; i < 400; ++i) {
    lengths.push_back(size_t(random.below(2000)));
    text += concat(i ? "," : "", record("", std::string(lengths.back(), i % 2 ? 'x' : ' ')));
  }
  const auto all = read(text + "]");
  ASSERT_EQ(all.size(), lengths.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].turns[0].text.size(), lengths[i]);
}

TEST(Conversations, StopsWhenAskedTo) {
  TemporaryFolder folder;
  spill(folder / "c.json", std::string("[") + record("") + ", 3");
  int seen = 0;
  each_conversation(folder / "c.json", [&](const Conversation&) { return ++seen < 1; });
  EXPECT_EQ(seen, 1);
}

TEST(Conversations, RefusesRecordsByTheirIndex) {
  const std::string good = record("");
  EXPECT_THAT(complaint(""), HasSubstr("found an empty file"));
  EXPECT_THAT(complaint(good), HasSubstr("wanted a JSON list of conversations, found '{'"));
  EXPECT_THAT(complaint(std::string("[") + good + ",3]"), HasSubstr("record 1: wanted an object, found '3'"));
  EXPECT_THAT(complaint(std::string("[") + good + good + "]"),
              HasSubstr("record 1: wanted ',' or ']' before it, found '{'"));
  EXPECT_THAT(complaint(std::string("[") + good + ",]"), HasSubstr("record 1: wanted an object, found ']'"));
  EXPECT_THAT(complaint(std::string("[") + good + "," + good.substr(0, 20)),
              HasSubstr("record 1: the file ends inside it"));
  EXPECT_THAT(complaint(std::string("[") + good),
              HasSubstr("record 1: wanted ',' or ']' before it, found the end"));
  EXPECT_THAT(complaint(std::string("[") + good + "] x"), HasSubstr("wanted nothing behind"));
  EXPECT_THAT(complaint(std::string("[") + good + ",{\"id\" 3}]"), HasSubstr("record 1: invalid JSON"));
  EXPECT_THAT(complaint("[{}]"),
              HasSubstr("record 0: key 'conversations': wanted a list of turns, found nothing"));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": "gpt", "value": ""}]}])"),
              HasSubstr("found 0 turns"));
  EXPECT_THAT(
      complaint(R"([{"conversations": [{"from": "human", "value": ""}, {"from": "human", "value": ""}]}])"),
      HasSubstr("record 0, turn 1: wanted human and gpt in turn, found human twice"));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": "system", "value": ""}]}])"),
              HasSubstr("wanted human or gpt, found 'system'"));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": "human", "value": 3}]}])"),
              HasSubstr("record 0, turn 0: key 'value': wanted a string, found 3"));
  for (const char* image : {"\"/etc/x\"", "\"../x\"", "\"a/../../x\"", "3", "\"\"", "[1]", "\"a\\u0000b\""})
    EXPECT_THAT(
        complaint(std::string("[") + record(std::string(R"("image": )") + image + ",", "<image>") + "]"),
        HasSubstr("record 0: key 'image': wanted a path below"))
        << image;
  EXPECT_THAT(complaint(std::string("[") + record(R"("image": "x.jpg", )") + "]"),
              HasSubstr("found 0 for 1"));
  EXPECT_THAT(complaint(std::string("[") + record("", "<image>") + "]"), HasSubstr("found 1 for 0"));
  EXPECT_THAT(complaint(std::string("[") + record(R"("id": [], )") + "]"),
              HasSubstr("key 'id': wanted a string or an integer"));
  EXPECT_THAT(complaint(std::string("[") +
                        record(std::string("\"a\": \"") + std::string(17 << 20, 'x') + "\", ") + "]"),
              HasSubstr("record 0: wanted at most"));
  EXPECT_THAT(message_of<IoError>([] { each_conversation("/nowhere.json", {}); }), HasSubstr("cannot open"));
}

}  // namespace
}  // namespace dehvf
