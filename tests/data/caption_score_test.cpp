// Captions: tokens, BLEU and CIDEr-D as pycocoevalcap has them; what is refused.
#include "data/scorers/caption_score.h"

#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/scorers/coco_captions.h"
#include "data/scorers/ptb_tokenizer.h"
#include "scorer_fixture.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> lines_of(const std::string& name) {
  std::istringstream file(read_file(scorer_fixture(name)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// 700 lines of rare spellings glued together at random, then 400 captions with names, signs, times, prices.
TEST(PtbTokens, AreThoseOfThePublishedTool) {
  const auto lines = lines_of("ptb_lines.txt"), wanted = lines_of("ptb_tokens.txt");
  const auto found = ptb_tokens(lines);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(found[i], wanted[i]) << lines[i];
}

TEST(PtbTokens, SeeIntoTheNextLineAndKeepLinesApart) {
  EXPECT_THAT(ptb_tokens(std::vector<std::string>{"Plan B.", "The end", "", "Plan B.", "a line"}),
              ElementsAre("plan b .", "the end", "", "plan b.", "a line"));
  EXPECT_THAT(ptb_tokens(std::vector<std::string>{"a\nb\r\nc\xe2\x80\xa8"
                                                  "d",
                                                  "e"}),
              ElementsAre("a b c d", "e"));
  EXPECT_THAT(caption_tokens(std::vector<std::string>{"A dog's \"bone\" (red)...", ".", ""}),
              ElementsAre("a dog 's bone -lrb- red -rrb-", "", ""));
  EXPECT_THAT(ptb_tokens(std::vector<std::string>{"a \xff\xf0\x9f\x98\x80 b"}), ElementsAre("a b"));
  EXPECT_THAT(ptb_tokens({}), IsEmpty());
}

TEST(PtbTokens, NeedNoMoreThanTheirWindow) {
  // Long lines, of which many rules would like to see the whole.
  for (const std::string_view part : {"a,", "(", "a@", "<a", "'", "1/", "w."}) {
    std::string line;
    for (int i = 0; i < 30'000; ++i) line += part;
    EXPECT_GE(ptb_tokens(std::vector{line})[0].size(), line.size()) << part;
  }
  const std::string word(3000, 'a');
  EXPECT_EQ(ptb_tokens(std::vector{word})[0].size(), 3002u);
}

TEST(CaptionScore, EqualsPycocoevalcap) {
  const Json truth = read_json(scorer_fixture("coco_scores.json"));
  const auto score = score_coco_captions(scorer_fixture("coco_results.json"),
                                         scorer_fixture("coco_references.json"), CaptionText::plain);
  ASSERT_EQ(score.figures.size(), 5u);
  EXPECT_EQ(score.figures[0].first, "CIDEr-D");
  EXPECT_NEAR(score.figures[0].second, truth["cider"].get<double>(), 1e-12);
  for (size_t n = 0; n < 4; ++n)
    EXPECT_NEAR(score.figures[4 - n].second, truth["bleu"][n].get<double>(), 1e-13) << n;
  ASSERT_EQ(score.samples.size(), truth["ciders"].size());
  for (size_t i = 0; i < score.samples.size(); ++i)
    EXPECT_NEAR(score.samples[i], truth["ciders"][i].get<double>(), 1e-12) << i;
}

TEST(CaptionScore, BleuOfSinglePicturesEqualsPycocoevalcap) {
  const Json truth = read_json(scorer_fixture("coco_scores.json")),
             references = read_json(scorer_fixture("coco_references.json"))["annotations"];
  std::map<int, std::vector<std::string>> texts;
  for (const Json& record : references)
    texts[record["image_id"]].push_back(
        caption_tokens(std::vector{record["caption"].get<std::string>(), std::string("a")})[0]);
  std::vector<CaptionTokens> pictures;
  for (const auto& [id, captions] : texts)
    pictures.push_back({truth["tokens"][pictures.size()].get<std::string>(), captions});
  const CaptionScore score = score_captions(pictures);
  for (size_t i = 0; i < pictures.size(); ++i)
    EXPECT_NEAR(score.bleus[i][3], truth["bleu4s"][i].get<double>(), 1e-12) << i;
}

TEST(CaptionScore, FollowsFromItsFormulas) {
  // One of two pictures: a single word that only its own reference has.
  const std::vector<CaptionTokens> two{{"dog", {"dog"}}, {"cat bird", {"cat bird", "horse"}}};
  const CaptionScore score = score_captions(two);
  // Only n = 1 of four has a cosine, of 1; no bigrams, so no penalty.
  EXPECT_NEAR(score.ciders[0], 10.0 / 4, 1e-12);
  // Against "horse" nothing matches; against itself n = 1, 2.
  EXPECT_NEAR(score.ciders[1], 10.0 * 2 / 4 / 2, 1e-12);
  EXPECT_NEAR(score.bleu[0], 1, 1e-8);
  // A single picture has no document frequencies to tell words apart by.
  EXPECT_EQ(score_captions(std::vector<CaptionTokens>{{"a b c", {"a b c"}}}).cider, 0);
  EXPECT_THROW(score_captions({}), ConfigError);
}

TEST(CaptionScore, PretokenizedTextIsLeftAlone) {
  TemporaryFolder folder;
  spill(folder / "r.json", R"([{"image_id": 1, "caption": "Dog . ."}, {"image_id": 2, "caption": "a b"}])");
  spill(folder / "p.json", R"([{"image_id": 2, "caption": "a b"}, {"image_id": 1, "caption": "Dog x x"}])");
  const auto tokens = score_coco_captions(folder / "p.json", folder / "r.json", CaptionText::tokens);
  const auto plain = score_coco_captions(folder / "p.json", folder / "r.json", CaptionText::plain);
  EXPECT_NEAR(tokens.figures[4].second, 3.0 / 5, 1e-9);  // "Dog", "a", "b" of five
  EXPECT_NEAR(plain.figures[4].second, 3.0 / 5, 1e-9);
  EXPECT_LT(tokens.samples[0], plain.samples[0]);  // whose reference is "dog" alone
}

TEST(CaptionScore, RefusesRecordsByTheirIndex) {
  TemporaryFolder folder;
  const auto complaint = [&](const char* results, const char* references) {
    spill(folder / "p.json", results);
    spill(folder / "r.json", references);
    return message_of<IoError>(
        [&] { score_coco_captions(folder / "p.json", folder / "r.json", CaptionText::plain); });
  };
  const char* const good =
      R"({"annotations": [{"image_id": 7, "caption": "a"}, {"image_id": "b", "caption": "c"}]})";
  EXPECT_THAT(complaint("[]", good), AllOf(HasSubstr("0 of the 2 pictures"), HasSubstr("image_id 7")));
  EXPECT_THAT(complaint(R"([{"image_id": 7, "caption": "a"}, {"image_id": 8, "caption": "a"}])", good),
              HasSubstr("record[1]: image_id 8 has no reference"));
  EXPECT_THAT(complaint(R"([{"image_id": 7, "caption": "a"}, {"image_id": 7, "caption": "a"}])", good),
              HasSubstr("record[1]: image_id 7 has a caption already"));
  EXPECT_THAT(complaint(R"([{"image_id": 7}])", good), HasSubstr("record[0]: key 'caption' is missing"));
  EXPECT_THAT(complaint(R"([{"image_id": 7.5, "caption": ""}])", good), HasSubstr("found 7.5"));
  EXPECT_THAT(complaint(R"([3])", good), HasSubstr("record[0]: wanted an object, found 3"));
  EXPECT_THAT(complaint(R"({"a": 1})", good), HasSubstr("wanted a list of objects, or an object with"));
  EXPECT_THAT(complaint(R"([{"image_id": 7,)", good), HasSubstr("invalid JSON"));
  EXPECT_THAT(complaint("[]", R"({"annotations": [{"caption": "a"}]})"),
              HasSubstr("annotations[0]: key 'image_id' is missing"));
  EXPECT_THAT(complaint("[]", R"({"annotations": []})"), HasSubstr("wanted at least one reference"));
}

}  // namespace
}  // namespace dehvf
