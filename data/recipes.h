// How a picture becomes the numbers a vision tower was trained on, under the names the literature's code goes
// by.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/io/json.h"
#include "core/tensor.h"
#include "data/image.h"

namespace dehvf {

enum class ImageFit {
  crop,     // shortest edge to `resize`, then the centre size x size
  pad,      // padded to a square with the mean colour, then as crop
  stretch,  // to size x size, whatever the proportions
};

struct ImageRecipe {
  std::string name;
  ImageFit fit = ImageFit::stretch;
  int resize = 224;                           // crop and pad: the shortest edge before cropping
  int size = 224;                             // edge of the result in pixels
  std::array<double, 3> mean{}, deviation{};  // per channel, of values in [0, 1]

  bool operator==(const ImageRecipe&) const = default;
};

/// `clip_crop` (Hugging Face's CLIP), `llava_pad` (LLaVA 1.5), `memvp` (MemVP, LaVIN: stretched, with
/// ImageNet's statistics although the tower is CLIP's), `plain` (stretched, mean and deviation 0.5). Throws
/// ConfigError naming the nearest for another name or size < 1.
ImageRecipe image_recipe(std::string_view name, int size = 224);

/// The picture fitted to size x size, before normalisation. Throws IoError for extreme proportions.
Image fit_image(const Image& image, const ImageRecipe& recipe);

/// f32 [3, size, size]: (fitted / 255 - mean) / deviation.
Tensor preprocess(const Image& image, const ImageRecipe& recipe);
/// What stands for the picture of a sample without one: zeros, f32 [3, size, size].
Tensor missing_image(const ImageRecipe& recipe);

/// The recipe in the keys of Hugging Face's preprocessor_config.json plus "image_recipe", its name.
Json to_json(const ImageRecipe& recipe);
/// Reads such an object, with or without the name. Throws IoError "<what>: ..." where it asks for something
/// that no recipe does, such as another filter than bicubic.
ImageRecipe recipe_from_json(const Json& config, std::string_view what);

/// Empty where `recipe` feeds a tower what its own preprocessor_config asks for; else one line that names
/// every difference.
std::string recipe_mismatch(const ImageRecipe& recipe, const ImageRecipe& tower);

}  // namespace dehvf
