// Where visual tokens go: the batch with them, and what a forward pass reads of it.
#include <gmock/gmock.h>

#include "layers/fusion/visual_tokens.h"
#include "support/message.h"
#include "train/contract/tiny.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

std::vector<int32_t> of(const Tensor& tensor) {
  const auto all = tensor.span<int32_t>();
  return {all.begin(), all.end()};
}

// Three texts, of which the second has no image and the third is one token; two tokens an image.
TextBatch texts() {
  return pack(std::vector<std::vector<int32_t>>{{5, 6, 7}, {8, 9}, {4}}, std::vector<int32_t>{1, -1, 0},
              std::vector<int64_t>{30, 31, 32});
}

TEST(InsertTokens, BehindTheFirstToken) {
  const auto found = insert_tokens(texts(), 2, Place::behind_bos);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->batch.lengths, ElementsAre(5, 2, 3));
  EXPECT_THAT(of(found->source), ElementsAre(0, 8, 9, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(of(found->text_rows), ElementsAre(0, 3, 4, 5, 6, 7));
  EXPECT_THAT(of(found->batch.tokens), ElementsAre(5, -1, -1, 6, 7, 8, 9, 4, -1, -1));
  EXPECT_THAT(of(found->batch.positions), ElementsAre(0, 1, 2, 3, 4, 0, 1, 0, 1, 2));
  EXPECT_THAT(of(found->batch.sample_offsets), ElementsAre(0, 5, 7, 10));
  EXPECT_THAT(of(found->batch.spans), ElementsAre(0, 5, 0, 5, 5, 2, 5, 2, 7, 3, 7, 3));
  EXPECT_THAT(of(found->batch.image_of), ElementsAre(1, -1, 0));
}

TEST(InsertTokens, InFront) {
  const auto found = insert_tokens(texts(), 2, Place::front);
  ASSERT_TRUE(found);
  EXPECT_THAT(of(found->source), ElementsAre(8, 9, 0, 1, 2, 3, 4, 6, 7, 5));
  EXPECT_THAT(of(found->text_rows), ElementsAre(2, 3, 4, 5, 6, 9));
  EXPECT_THAT(of(found->batch.positions), ElementsAre(0, 1, 2, 3, 4, 0, 1, 0, 1, 2));
}

TEST(InsertTokens, NothingWithoutImages) {
  TextBatch batch = texts();
  batch.image_of = tensor_of(std::vector<int32_t>{-1, -1, -1});
  EXPECT_FALSE(insert_tokens(batch, 2, Place::front));
}

// A text that fills a batch up has its positions all 0.
TEST(InsertTokens, PositionsOfTextsWithoutImagesStay) {
  TextBatch batch = texts();
  batch.positions = tensor_of(std::vector<int32_t>{0, 1, 2, 0, 0, 0});
  EXPECT_THAT(of(insert_tokens(batch, 2, Place::front)->batch.positions),
              ElementsAre(0, 1, 2, 3, 4, 0, 0, 0, 1, 2));
}

TEST(InsertTokens, ChosenRowsAreThoseOfTheText) {
  const FusedModel model =
      tiny::make({"qformer", {{"queries", "2"}, {"width", "4"}, {"heads", "2"}}}, DType::f32);
  const TextPlan plan = model.plan(texts(), tensor_of(std::vector<int32_t>{1, 4, 5}));
  EXPECT_THAT(of(plan.rows), ElementsAre(3, 6, 9));
  EXPECT_THAT(plan.chosen.lengths, ElementsAre(1, 1, 1));
  EXPECT_THAT(of(plan.chosen.positions), ElementsAre(3, 1, 2));
  EXPECT_THAT(of(plan.chosen.spans), ElementsAre(0, 1, 0, 4, 1, 1, 5, 2, 2, 1, 7, 3));
  EXPECT_THAT(of(plan.tokens), ElementsAreArray(of(texts().tokens)));
}

TEST(InsertTokens, WhatStandsBehindARowPredictsTheNextToken) {
  const FusedModel model = tiny::make(
      {"qformer", {{"queries", "2"}, {"width", "4"}, {"heads", "2"}, {"place", "behind_bos"}}}, DType::f32);
  EXPECT_THAT(of(model.plan(texts(), tensor_of(std::vector<int32_t>{0, 1, 2, 3, 4, 5})).rows),
              ElementsAre(2, 3, 4, 5, 6, 9));
}

TEST(InsertTokens, ImagesThatWereNotLookedAtAreMissed) {
  const FusedModel model = tiny::make({"llava", {}}, DType::f32);
  EXPECT_THAT(message_of<ShapeError>([&] { model.hidden(model.plan(texts()), model.see({}), {}); }),
              HasSubstr("no image was looked at"));
}

TEST(InsertTokens, TextsThatGetTooLongAreRefused) {
  const FusedModel model = tiny::make({"llava", {}}, DType::f32);
  const auto plan = [&](size_t length) {
    model.plan(
        pack(std::vector<std::vector<int32_t>>{std::vector<int32_t>(length, 1)}, std::vector<int32_t>{0}));
  };
  EXPECT_NO_THROW(plan(31));
  EXPECT_THAT(message_of<ConfigError>([&] { plan(32); }), HasSubstr("41 tokens, visual ones included"));
}

}  // namespace
}  // namespace dehvf
