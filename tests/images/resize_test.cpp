#include "data/resize.h"

#include <cstdio>

#include <gtest/gtest.h>

#include "core/error.h"
#include "images/fixtures.h"

namespace dehvf::test {
namespace {

TEST(Resize, EveryFixtureAsPillowDoes) {
  const auto expected = expected_images("resize.");
  ASSERT_GE(expected.size(), 14u);
  for (const auto& [key, tensor] : expected) {
    const std::string name = key.substr(0, key.rfind('.'));
    const Image image = read_image(image_fixture(name));
    expect_pixels(resize_bicubic(image, int(tensor.size(1)), int(tensor.size(0))), tensor, key);
  }
}

// A window is what cutting the whole resized picture gives.
TEST(Resize, WindowsAreCutsOfTheWhole) {
  const Image image = noise_image(53, 37, 1);
  for (auto [width, height] : {std::pair{24, 17}, {53, 17}, {24, 37}, {53, 37}, {111, 90}}) {
    const Image whole = resize_bicubic(image, width, height);
    const Window window{width / 3, height / 4, width / 2, height / 3};
    const Image part = resize_bicubic(image, width, height, window);
    ASSERT_EQ(part.width, window.width);
    ASSERT_EQ(part.height, window.height);
    for (int y = 0; y < part.height; ++y)
      ASSERT_TRUE(
          std::equal(part.row(y), part.row(y) + 3 * part.width, whole.row(window.top + y) + 3 * window.left))
          << width << " x " << height << " row " << y;
  }
}

TEST(Resize, AFlatColourStaysFlat) {
  Image image(67, 41);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = i % 3 == 0 ? 255 : i % 3 == 1 ? 1 : 200;
  for (auto [width, height] : {std::pair{5, 3}, {224, 224}, {66, 42}}) {
    const Image result = resize_bicubic(image, width, height);
    for (size_t i = 0; i < result.rgb.size(); ++i) ASSERT_EQ(result.rgb[i], image.rgb[i % 3]);
  }
}

TEST(Resize, RefusesWhatCannotBe) {
  const Image image = noise_image(5, 4, 2);
  EXPECT_THROW(resize_bicubic(image, 0, 3), Error);
  EXPECT_THROW(resize_bicubic(image, 3, -1), Error);
  EXPECT_THROW(resize_bicubic(Image(), 3, 3), Error);
  EXPECT_THROW(resize_bicubic(image, 8, 8, {1, 0, 8, 8}), Error);
  EXPECT_THROW(resize_bicubic(image, 8, 8, {0, -1, 8, 8}), Error);
  EXPECT_THROW(resize_bicubic(image, 1 << 20, 1 << 20), Error);
}

}  // namespace
}  // namespace dehvf::test
