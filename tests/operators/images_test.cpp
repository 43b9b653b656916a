// Samples with several images: one behind the other they are what one image with as many patches would be.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "core/ops/rows.h"
#include "core/random.h"
#include "support/golden.h"
#include "support/message.h"
#include "train/contract/tiny.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

constexpr int64_t kSets = 2;

struct Case {
  std::string fusion;
  std::map<std::string, std::string> options;
  bool class_token = true;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.fusion; }
};

// Rows of a tower's level, [images, tokens, width].
Tensor level_of(int64_t images, int64_t patches, bool class_token,
                const std::function<Tensor(int64_t, int64_t)>& row) {
  std::vector<Tensor> rows;
  for (int64_t image = 0; image < images; ++image) {
    if (class_token) rows.push_back(row(image, -1));
    for (int64_t patch = 0; patch < patches; ++patch) rows.push_back(row(image, patch));
  }
  const Tensor all = concat_rows(rows);
  return all.reshape({images, all.size(0) / images, all.size(1)});
}

// The operator for samples of `images` images, the levels it was shown, and what came of them. Every set of
// images has the same `kPatches * 2` patches and the same class token, however many images they are cut into.
struct Seen {
  static constexpr int64_t kPatches = 9;

  Seen(const Case& c, int64_t images) : text(tiny::make({"none"}, DType::f64)) {
    FusionShapes shapes = fusion_shapes(tiny::llama(), tiny::tower());
    const int64_t patches = 2 * kPatches / images, width = shapes.tower_width;
    shapes.patches = patches, shapes.class_token = c.class_token;
    auto options = c.options;
    if (images > 1) options["images"] = concat(images);
    FusionConfig config(options);
    fusion = make_fusion(c.fusion, shapes, config);
    load_parameters(
        *fusion,
        [](const std::string& path, const Shape& shape) {
          return random_normal(shape, 0.4, std::hash<std::string>()(path), DType::f64);
        },
        true);
    TowerLevels levels{.post_norm_weight = Variable(random_normal({width}, 1, 4, DType::f64)),
                       .post_norm_bias = Variable(random_normal({width}, 1, 5, DType::f64)),
                       .class_token = c.class_token,
                       .images = kSets * images,
                       .patches = patches,
                       .width = width};
    for (const int level : fusion->tower().levels) {
      const auto row = [&](int64_t image, int64_t patch) {
        const int64_t set = image / images, at = patch < 0 ? 99 : image % images * patches + patch;
        return random_normal({1, width}, 1, uint64_t(10000 * level + 100 * set + at), DType::f64);
      };
      levels.after_block[level] =
          Variable::parameter(level_of(levels.images, patches, c.class_token, row), concat("level ", level));
    }
    shown = levels;
    loss = loss_of(levels);
    backward(loss);
  }

  Variable loss_of(const TowerLevels& levels) {
    const tiny::Input in = tiny::input(DType::f64);
    const Supervised wanted = in.supervised();
    const Llama& llama = text.llama();
    const TextPlan plan = plan_text(in.batch(), wanted.rows, fusion.get());
    const Variable hidden =
        llama.forward(plan, llama.embed(plan.tokens), with_fusion(*fusion, fusion->encode(levels)), {});
    return sum_all(llama.losses(hidden, wanted.targets));
  }

  // Of each level by its patches, [sets, 2 * kPatches, width], and of its class tokens, summed over a set.
  std::vector<Tensor> gradients_of_levels() const {
    std::vector<Tensor> found;
    for (const auto& [level, value] : shown.after_block) {
      const int64_t first = shown.class_token ? 1 : 0, tokens = shown.patches + first, width = shown.width;
      const Tensor gradient = value.grad().reshape({shown.images * tokens, width});
      const Tensor classes = zeros({kSets, width}, DType::f64);
      std::vector<Tensor> patches;
      for (int64_t image = 0; image < shown.images; ++image) {
        patches.push_back(gradient.slice(image * tokens + first, (image + 1) * tokens));
        const Tensor of_set = classes[image / (shown.images / kSets)];
        for (int64_t i = 0; i < width && first; ++i)
          of_set.data<double>()[i] += gradient[image * tokens].data<double>()[i];
      }
      found.push_back(concat_rows(patches));
      found.push_back(classes);
    }
    return found;
  }

  FusedModel text;
  std::unique_ptr<FusionOperator> fusion;
  TowerLevels shown;
  Variable loss;
};

class SeveralImages : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Operators, SeveralImages,
    testing::Values(
        Case{"memvp", {{"slots", "20"}, {"rank", "3"}}},
        Case{"memvp", {{"slots", "20"}, {"rank", "3"}, {"rows", "materialised"}}},
        Case{"dehvf",
             {{"slots", "20"},
              {"rank", "3"},
              {"groups", "2"},
              {"hidden", "5"},
              {"width", "4"},
              {"heads", "2"},
              {"blocks", "2"},
              {"embedding", "6"}}},
        Case{"naive_concat", {{"slots", "20"}, {"rank", "3"}}}, Case{"llava", {{"hidden", "5"}}},
        Case{"llama_adapter", {{"version", "2"}, {"prompts", "3"}, {"layers", "2"}, {"rank", "3"}}, false}));

TEST_P(SeveralImages, AreOneImageOfAllTheirPatches) {
  const Seen one(GetParam(), 1), two(GetParam(), 2);
  EXPECT_EQ(two.fusion->tower().images, 2);
  EXPECT_LT(relative_error(two.loss.value(), one.loss.value()), 1e-13);
  const auto wanted = trainable_of(*one.fusion), found = trainable_of(*two.fusion);
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Tensor gradient = wanted[i].parameter->variable().grad();
    ASSERT_TRUE(gradient.defined()) << wanted[i].path;
    EXPECT_LT(relative_error(found[i].parameter->variable().grad(), gradient, 1e-9), 1e-10) << wanted[i].path;
  }
  const auto levels = one.gradients_of_levels(), cut = two.gradients_of_levels();
  for (size_t i = 0; i < levels.size(); ++i)
    EXPECT_LT(relative_error(cut[i], levels[i], 1e-9), 1e-10) << "level " << i / 2;
}

class TokensOfSeveralImages : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Operators, TokensOfSeveralImages,
    testing::Values(Case{"qformer", {{"queries", "4"}, {"width", "4"}, {"hidden", "5"}, {"heads", "2"}}},
                    Case{"lavin", {{"rank", "3"}, {"levels", "2"}}}, Case{"adem_vl", {{"rank", "3"}}},
                    Case{"llava", {{"hidden", "5"}}}));

// Each image's own tokens stay what they are alone.
TEST_P(TokensOfSeveralImages, StandOneBehindTheOther) {
  auto options = GetParam().options;
  const FusedModel single = tiny::make({GetParam().fusion, options}, DType::f64);
  options["images"] = "2";
  const FusedModel pairs = tiny::make({GetParam().fusion, options}, DType::f64);
  const NoGrad no_grad;
  const int64_t side = tiny::tower().image;
  const TowerLevels levels = single.look(random_normal({4, 3, side, side}, 1, 6, DType::f64));
  const Tensor alone = single.fusion().tokens(single.fusion().encode(levels)).value();
  if (GetParam().fusion != "adem_vl")  // whose slots of 2 images are others
    EXPECT_LT(relative_error(pairs.fusion().tokens(pairs.fusion().encode(levels)).value(), alone), 1e-13);

  const CostReport cost = single.fusion().cost();
  EXPECT_EQ(pairs.fusion().cost().tokens_per_image, cost.tokens_per_image);
  const TextBatch text = pack(std::vector<std::vector<int32_t>>{{5, 6}, {8}}, std::vector<int32_t>{1, 0});
  const InputTokens found = *pairs.fusion().insert(text);
  EXPECT_EQ(found.batch.lengths[0], 2 + 2 * cost.tokens_per_image);
  std::map<int64_t, std::vector<int32_t>> of_sample;
  for (int64_t row = 0, sample = 0; row < found.batch.lengths[0] + found.batch.lengths[1]; ++row) {
    sample = row >= found.batch.lengths[0];
    const int32_t from = found.source.data<int32_t>()[row] - int32_t(text.count() + cost.tokens_once);
    if (from >= -int32_t(cost.tokens_once)) of_sample[sample].push_back(from);
  }
  std::vector<int32_t> wanted(size_t(2 * cost.tokens_per_image));
  std::iota(wanted.begin(), wanted.end(), 0);
  EXPECT_EQ(of_sample[1], wanted);
  for (int32_t& row : wanted) row += int32_t(wanted.size());
  EXPECT_EQ(of_sample[0], wanted);
}

TEST(SeveralImagesAre, RefusedWhereAnOperatorCannot) {
  const auto complaint = [](const std::string& fusion, std::map<std::string, std::string> options) {
    return message_of<ConfigError>([&] { tiny::make({fusion, std::move(options)}, DType::f64); });
  };
  EXPECT_THAT(complaint("memvp", {{"images", "2"}, {"slots", "17"}}),
              HasSubstr("17 slots for 18 patches of 2 images; wanted at least as many"));
  EXPECT_THAT(complaint("dehvf", {{"slots", "8"}}), HasSubstr("8 slots for 9 patches; wanted"));
  EXPECT_THAT(complaint("llama_adapter", {{"images", "2"}}), HasSubstr("take fusion.version=2"));
  EXPECT_THAT(complaint("none", {{"images", "2"}}), HasSubstr("no such key"));
  EXPECT_THAT(complaint("my_idea", {{"images", "2"}}), HasSubstr("fusion.images"));
  EXPECT_THAT(complaint("llava", {{"images", "0"}}), HasSubstr("wanted 1 to 64, found 0"));
  const FusedModel pairs = tiny::make({"llava", {{"images", "2"}}}, DType::f64);
  const int64_t side = tiny::tower().image;
  EXPECT_THAT(message_of<ShapeError>([&] {
                pairs.see(pairs.look(random_normal({3, 3, side, side}, 1, 6)));
              }),
              HasSubstr("3 images for samples of 2"));
}

}  // namespace
}  // namespace dehvf
