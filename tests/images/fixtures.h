// The pictures of tests/golden/images and what Pillow makes of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/image.h"

namespace dehvf::test {

inline std::filesystem::path image_fixture(const std::string& name) {
  return std::filesystem::path(DEHVF_SOURCE_DIR "/tests/golden/images") / name;
}

/// Names of all pictures, sorted.
std::vector<std::string> image_fixture_names();

/// The tensors of expected.safetensors whose names start with `prefix`, by the rest of the name.
std::map<std::string, Tensor> expected_images(const std::string& prefix);

/// Equal in size and every byte to a u8 [height, width, 3] tensor; says where the first difference is.
void expect_pixels(const Image& image, const Tensor& expected, const std::string& what);

/// Reproducible noise over a ramp, so that overshoot and clipping occur.
Image noise_image(int width, int height, uint64_t seed);

}  // namespace dehvf::test
