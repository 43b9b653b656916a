// Answers written in batches are those written one by one; pictures are exchanged without anybody keeping
// his.
#include "train/evaluate.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "models/load.h"

namespace dehvf {
namespace {

TEST(Evaluate, ExchangedPicturesAreNobodysOwn) {
  for (const int64_t count : {2, 3, 7, 64}) {
    std::set<int32_t> seen;
    for (int32_t own = 0; own < count; ++own) {
      const int32_t shown = shown_picture(Show::shuffled, own, count);
      EXPECT_NE(shown, own);
      EXPECT_TRUE(shown >= 0 && shown < count);
      seen.insert(shown);
      for (const int64_t further : {1, 2, 7, 100})
        EXPECT_NE(shown_picture(Show::shuffled, own, count, further), own);
      EXPECT_EQ(shown_picture(Show::own, own, count), own);
      EXPECT_EQ(shown_picture(Show::blank, own, count), PictureSource::kBlank);
      EXPECT_EQ(shown_picture(Show::none, own, count), -1);
    }
    EXPECT_EQ(int64_t(seen.size()), count);
    for (const Show show : {Show::own, Show::blank, Show::shuffled})
      EXPECT_EQ(shown_picture(show, -1, count), -1);
  }
}

// The toy models with an untrained adapter whose rows are large enough to be seen in the text.
struct Toy {
  static constexpr const char* kFolder = DEHVF_SOURCE_DIR "/examples/toy";
  FusedModel model;
  Tensor pixels;
  std::vector<Question> questions;

  Toy() : model(config(), read_vision_config(std::filesystem::path(kFolder) / "tower"), options()) {
    const std::filesystem::path folder = kFolder;
    std::vector<std::string> notes;
    load_weights(model.llama(), WeightFolder(folder / "llama"), DType::f32, notes);
    load_weights(model.tower(), WeightFolder(folder / "tower"), DType::f32, notes);
    initialise(model, 1);
    std::mt19937 random(2);
    for (const auto& [path, parameter] : parameters_of(model))
      for (float& x : parameter->value().span<float>()) x += float(random() % 2001) / 2e3f - 0.5f;
    pixels = Tensor({4, 3, model.tower().config().image, model.tower().config().image}, DType::f32);
    for (float& x : pixels.span<float>()) x = float(random() % 2001) / 1e3f - 1;
    for (int i = 0; i < 70; ++i) {  // more than one batch
      Question question{.lead_in = {}, .image = i % 3 == 0 ? -1 : i % 4, .id = 100 + i};
      for (size_t t = 0; t < 3 + random() % 20; ++t) question.prompt.push_back(int32_t(random() % 380));
      if (i % 2) question.lead_in = {int32_t(random() % 380)};
      questions.push_back(question);
    }
  }
  static LlamaConfig config() {
    std::vector<std::string> notes;
    return llama_config_of(WeightFolder(std::filesystem::path(kFolder) / "llama"), notes);
  }
  static FusedModelOptions options() {
    return {.fusion = "dehvf",
            .config = FusionConfig({{"slots", "20"},
                                    {"rank", "8"},
                                    {"dropout", "0"},
                                    {"scale", "1"},
                                    {"lambda", "1"},
                                    {"embedding", "16"},
                                    {"hidden", "32"},
                                    {"width", "32"},
                                    {"heads", "4"},
                                    {"blocks", "1"}}),
            .tower_adapters = false,
            .adapters = {}};
  }
};

TEST(Evaluate, AnswersWrittenTogetherAreThoseWrittenAlone) {
  Toy toy;
  const PictureSource pictures(toy.model, toy.pixels, true);
  EXPECT_EQ(pictures.count(), 4);
  const GenerateOptions options{.max_new = 6, .stop = {349}};
  const auto picture_of = [&](size_t i) { return toy.questions[i].image; };
  const auto together = write_answers(toy.model, toy.questions, &pictures, picture_of, options);
  ASSERT_EQ(together.size(), toy.questions.size());
  size_t tokens = 0, moved = 0;
  for (size_t i = 0; i < together.size(); ++i) {
    const auto one = std::span(toy.questions).subspan(i, 1);
    const auto alone = write_answers(
        toy.model, one, &pictures, [&](size_t) { return one[0].image; }, options);
    EXPECT_EQ(alone[0].tokens, together[i].tokens) << i;
    EXPECT_EQ(alone[0].stopped, together[i].stopped) << i;
    tokens += alone[0].tokens.size();
    if (one[0].image < 0) continue;
    const auto other = write_answers(
        toy.model, one, &pictures, [&](size_t) { return (one[0].image + 1) % 4; }, options);
    moved += other[0].tokens != together[i].tokens;
  }
  EXPECT_GT(tokens, toy.questions.size());
  EXPECT_GT(moved, 0u);  // the texts depend on the pictures, so that a mix-up would be seen
}

}  // namespace
}  // namespace dehvf
