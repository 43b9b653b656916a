#include "data/recipes.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "images/fixtures.h"
#include "support/message.h"

namespace dehvf::test {
namespace {

constexpr int kSize = 24;  // of the fixtures

TEST(Recipes, FittedPicturesAreThoseOfTheFixtures) {
  for (const char* name : {"clip_crop", "llava_pad", "memvp"}) {
    const auto expected = expected_images(concat(name, ".u8."));
    ASSERT_GE(expected.size(), 4u);
    for (const auto& [file, tensor] : expected)
      expect_pixels(fit_image(read_image(image_fixture(file)), image_recipe(name, kSize)), tensor,
                    concat(name, " ", file));
  }
}

// Expected: f64, rounded once. Ours: three f32 roundings of values up to 3.
TEST(Recipes, NormalisedPicturesAreThoseOfTheFixtures) {
  for (const char* name : {"clip_crop", "llava_pad", "memvp"}) {
    for (const auto& [file, tensor] : expected_images(concat(name, ".pixels."))) {
      const Tensor got = preprocess(read_image(image_fixture(file)), image_recipe(name, kSize));
      ASSERT_EQ(got.shape(), tensor.shape());
      for (int64_t i = 0; i < got.count(); ++i)
        ASSERT_NEAR(got.data<float>()[i], tensor.data<float>()[i], 1e-6)
            << name << " " << file << " at " << i;
    }
  }
}

TEST(Recipes, PlainAndMissing) {
  Image white(3, 2);
  std::fill(white.rgb.begin(), white.rgb.end(), uint8_t(255));
  const ImageRecipe plain = image_recipe("plain", 7);
  const Tensor result = preprocess(white, plain);
  for (float value : result.span<float>()) EXPECT_EQ(value, 1.0f);
  const Tensor missing = missing_image(plain);
  EXPECT_EQ(missing.shape(), (Shape{3, 7, 7}));
  for (float value : missing.span<float>()) EXPECT_EQ(value, 0.0f);
}

TEST(Recipes, CropsTheMiddleOfALargerResize) {
  ImageRecipe recipe = image_recipe("clip_crop", 21);
  recipe.resize = 32;
  const Image image = noise_image(64, 32, 3);  // to 64 x 32: margins 43 and 11, both odd
  const Image fitted = fit_image(image, recipe);
  for (int y = 0; y < 21; ++y)
    EXPECT_TRUE(std::equal(fitted.row(y), fitted.row(y) + 63, image.row(5 + y) + 3 * 21));
}

TEST(Recipes, ExtremeProportionsAreRefused) {
  const Image line(1 << 20, 1);
  EXPECT_THROW(fit_image(line, image_recipe("clip_crop")), IoError);
  EXPECT_THROW(fit_image(line, image_recipe("llava_pad")), IoError);
}

TEST(Recipes, JsonRoundTrip) {
  for (const char* name : {"clip_crop", "llava_pad", "memvp", "plain"}) {
    ImageRecipe recipe = image_recipe(name, 336);
    EXPECT_EQ(recipe_from_json(to_json(recipe), "config"), recipe) << name;
    EXPECT_EQ(recipe_from_json(parse_json(to_json(recipe).dump(), "text"), "config"), recipe) << name;
  }
  ImageRecipe wide = image_recipe("clip_crop", 224);
  wide.resize = 256;
  EXPECT_EQ(recipe_from_json(to_json(wide), "config"), wide);
}

TEST(Recipes, ReadsThePreprocessorsOfThePublishedTowers) {
  const auto clip = parse_json(R"({"crop_size": 224, "do_center_crop": true, "do_normalize": true,
      "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 224,
      "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]})",
                               "clip");
  EXPECT_EQ(recipe_from_json(clip, "clip"), image_recipe("clip_crop", 224));
  const auto dino = parse_json(R"({"crop_size": {"height": 224, "width": 224}, "do_center_crop": true,
      "do_convert_rgb": true, "do_normalize": true, "do_rescale": true, "do_resize": true, "resample": 3,
      "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
      "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256}})",
                               "dino");
  const ImageRecipe dinov2 = recipe_from_json(dino, "dino");
  EXPECT_EQ(dinov2.resize, 256);
  EXPECT_EQ(dinov2.size, 224);
  EXPECT_EQ(dinov2.fit, ImageFit::crop);
  const auto siglip =
      parse_json(R"({"do_normalize": true, "do_rescale": true, "do_resize": true, "resample": 3,
      "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "size": {"height": 384, "width": 384}})",
                 "siglip");
  EXPECT_EQ(recipe_from_json(siglip, "siglip"), image_recipe("plain", 384));
}

TEST(Recipes, RefusesConfigsThatNoRecipeFollows) {
  const auto says = [](const char* key, const Json& value) {
    Json config = to_json(image_recipe("clip_crop"));
    if (value.is_discarded())
      config.erase(key);
    else
      config[key] = value;
    return message_of<IoError>([&] { recipe_from_json(config, "config"); });
  };
  const Json absent(Json::value_t::discarded);
  EXPECT_EQ(says("resample", 2), "config: key 'resample': wanted 3 (bicubic), found 2");
  EXPECT_EQ(says("do_normalize", false), "config: key 'do_normalize': wanted true");
  EXPECT_EQ(says("rescale_factor", 1.0), "config: key 'rescale_factor': wanted 1/255, found 1");
  EXPECT_EQ(says("image_mean", {0.5, 0.5}), "config: key 'image_mean': wanted three numbers");
  EXPECT_EQ(says("image_mean", absent), "config: key 'image_mean': wanted three numbers");
  EXPECT_EQ(says("image_std", {0.5, 0, 0.5}), "config: key 'image_std': wanted positive numbers, found 0");
  EXPECT_EQ(says("size", absent), "config: key 'size' is missing");
  EXPECT_EQ(says("crop_size", absent), "config: key 'crop_size' is missing");
  EXPECT_THAT(says("crop_size", {{"height", 224}, {"width", 225}}), testing::HasSubstr("wanted a square"));
  EXPECT_THAT(says("crop_size", 225), testing::HasSubstr("is more than the resized edge of 224"));
  EXPECT_THAT(says("size", 1 << 20), testing::HasSubstr("wanted an edge of 1 to 4096 pixels, found 1048576"));
  EXPECT_THAT(says("size", {{"shortest_edge", 0}}),
              testing::HasSubstr("wanted an edge of 1 to 4096 pixels, found 0"));
  EXPECT_THAT(says("size", "large"), testing::StartsWith("config: wanted a JSON object"));
  EXPECT_THAT(message_of<IoError>([] { recipe_from_json(Json::array(), "config"); }),
              testing::StartsWith("config: "));
}

TEST(Recipes, UnknownNamesAndSizesAreConfigErrors) {
  EXPECT_EQ(message_of<ConfigError>([] { image_recipe("clip_corp"); }),
            "image recipe 'clip_corp' is unknown; did you mean clip_crop?");
  EXPECT_THAT(message_of<ConfigError>([] { image_recipe("memvp", 0); }), testing::HasSubstr("found 0"));
}

TEST(Recipes, AMismatchWithTheTowerIsSpelledOut) {
  const ImageRecipe tower = image_recipe("clip_crop", 224);
  EXPECT_EQ(recipe_mismatch(tower, tower), "");
  EXPECT_EQ(recipe_mismatch(image_recipe("memvp", 224), tower),
            "image recipe memvp: mean [0.485 0.456 0.406], the tower wants [0.481455 0.457827 0.408211]; "
            "deviation [0.229 0.224 0.225], the tower wants [0.26863 0.261303 0.275777]; "
            "fit: stretched to a square, the tower wants centre crop");
  EXPECT_THAT(recipe_mismatch(image_recipe("clip_crop", 336), tower), testing::HasSubstr("size 336"));
}

}  // namespace
}  // namespace dehvf::test
