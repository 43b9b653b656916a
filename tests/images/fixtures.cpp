#include "images/fixtures.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "models/safetensors.h"

namespace dehvf::test {

std::vector<std::string> image_fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(image_fixture("")))
    if (entry.path().extension() == ".png" || entry.path().extension() == ".jpg")
      names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::map<std::string, Tensor> expected_images(const std::string& prefix) {
  std::map<std::string, Tensor> found;
  for (const auto& [name, tensor] : load_safetensors(image_fixture("expected.safetensors")))
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  return found;
}

void expect_pixels(const Image& image, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(concat(expected.shape()), concat(Shape{image.height, image.width, 3})) << what;
  const auto wanted = expected.span<uint8_t>();
  ASSERT_EQ(image.rgb.size(), wanted.size()) << what;
  const auto at = std::mismatch(wanted.begin(), wanted.end(), image.rgb.begin()).first - wanted.begin();
  ASSERT_EQ(size_t(at), wanted.size()) << what << ": byte " << at << " is " << int(image.rgb[size_t(at)])
                                       << ", wanted " << int(wanted[size_t(at)]);
}

Image noise_image(int width, int height, uint64_t seed) {
  std::mt19937_64 random(seed);
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int i = 0; i < 3 * width; ++i) {
      const int ramp = 255 * i / (3 * width), noise = int(random() % 160) - 80;
      image.row(y)[i] = uint8_t(std::clamp(ramp + noise, 0, 255));
    }
  return image;
}

}  // namespace dehvf::test
