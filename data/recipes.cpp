#include "data/recipes.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/io/file.h"
#include "data/resize.h"

namespace dehvf {
namespace {

using Triple = std::array<double, 3>;

constexpr Triple kClipMean{0.48145466, 0.4578275, 0.40821073},
    kClipDeviation{0.26862954, 0.26130258, 0.27577711};
constexpr Triple kImageNetMean{0.485, 0.456, 0.406}, kImageNetDeviation{0.229, 0.224, 0.225};
constexpr Triple kHalf{0.5, 0.5, 0.5};
constexpr int kMaxEdge = 4096;

// The edges after the shortest has become `edge`; the longer is rounded down, as Hugging Face does.
std::array<int64_t, 2> shortest_edge(const Image& image, int64_t edge) {
  const int64_t width = image.width, height = image.height;
  const auto longer = [edge](int64_t a, int64_t b) { return int64_t(double(edge * a) / double(b)); };
  if (width <= height) return {edge, longer(height, width)};
  return {longer(width, height), edge};
}

Image centre_crop(const Image& image, const ImageRecipe& recipe) {
  const auto [width, height] = shortest_edge(image, recipe.resize);
  require<IoError>(std::max(width, height) <= kMaxPixels, "picture of ", image.width, " x ", image.height,
                   ": too long and narrow for recipe ", recipe.name);
  // The centre rounds towards the upper left corner where the margin is odd.
  const Window window{int(width - recipe.size) / 2, int(height - recipe.size) / 2, recipe.size, recipe.size};
  return resize_bicubic(image, int(width), int(height), window);
}

Image pad_to_square(const Image& image, const ImageRecipe& recipe) {
  const int side = std::max(image.width, image.height);
  require<IoError>(int64_t(side) * side <= kMaxPixels, "picture of ", image.width, " x ", image.height,
                   ": too large to be padded to a square for recipe ", recipe.name);
  Image square(side, side);
  std::array<uint8_t, 3> colour;
  for (size_t c = 0; c < 3; ++c) colour[c] = uint8_t(std::clamp(recipe.mean[c] * 255, 0.0, 255.0));
  for (size_t i = 0; i < square.rgb.size(); ++i) square.rgb[i] = colour[i % 3];
  const int left = (side - image.width) / 2, top = (side - image.height) / 2;
  for (int y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), 3 * image.width, square.row(top + y) + 3 * left);
  return square;
}

Triple triple(const Json& config, const char* key, std::string_view what) {
  const auto found = config.find(key);
  const bool good = found != config.end() && found->is_array() && found->size() == 3 &&
                    std::all_of(found->begin(), found->end(), [](const Json& v) { return v.is_number(); });
  require<IoError>(good, what, ": key '", key, "': wanted three numbers");
  return found->get<Triple>();
}

int checked_edge(int64_t edge, const char* key, std::string_view what) {
  require<IoError>(edge > 0 && edge <= kMaxEdge, what, ": key '", key, "': wanted an edge of 1 to ", kMaxEdge,
                   " pixels, found ", edge);
  return int(edge);
}

// A square given as a number or as {"height", "width"}.
int square_edge(const Json& size, const char* key, std::string_view what) {
  if (size.is_number_integer()) return checked_edge(size.get<int64_t>(), key, what);
  const auto height = json_get<int64_t>(size, "height", what), width = json_get<int64_t>(size, "width", what);
  require<IoError>(height == width, what, ": key '", key, "': wanted a square, found ", width, " x ", height);
  return checked_edge(height, key, what);
}

const Json& member(const Json& object, const char* key, std::string_view what) {
  const auto found = object.find(key);
  require<IoError>(found != object.end(), what, ": key '", key, "' is missing");
  return *found;
}

std::string print(const Triple& values) {
  return concat("[", values[0], " ", values[1], " ", values[2], "]");
}

const char* print(ImageFit fit) {
  return fit == ImageFit::crop  ? "centre crop"
         : fit == ImageFit::pad ? "padded to a square"
                                : "stretched to a square";
}

}  // namespace

ImageRecipe image_recipe(std::string_view name, int size) {
  const ImageRecipe known[] = {
      {"clip_crop", ImageFit::crop, size, size, kClipMean, kClipDeviation},
      {"llava_pad", ImageFit::pad, size, size, kClipMean, kClipDeviation},
      {"memvp", ImageFit::stretch, size, size, kImageNetMean, kImageNetDeviation},
      {"plain", ImageFit::stretch, size, size, kHalf, kHalf},
  };
  require<ConfigError>(size > 0 && size <= kMaxEdge, "image recipe ", printable(name),
                       ": wanted a size of 1 to ", kMaxEdge, " pixels, found ", size);
  std::vector<std::string> names;
  for (const ImageRecipe& recipe : known) {
    if (recipe.name == name) return recipe;
    names.push_back(recipe.name);
  }
  const std::string near = nearest(name, names);
  fail<ConfigError>(
      "image recipe '", printable(name), "' is unknown; ",
      near.empty() ? "known are clip_crop, llava_pad, memvp, plain" : "did you mean " + near + "?");
}

Image fit_image(const Image& image, const ImageRecipe& recipe) {
  if (recipe.fit == ImageFit::stretch) return resize_bicubic(image, recipe.size, recipe.size);
  return centre_crop(recipe.fit == ImageFit::pad ? pad_to_square(image, recipe) : image, recipe);
}

Tensor preprocess(const Image& image, const ImageRecipe& recipe) {
  const Image fitted = fit_image(image, recipe);
  Tensor result = missing_image(recipe);
  float* out = result.data<float>();
  for (size_t c = 0; c < 3; ++c) {
    const float mean = float(recipe.mean[c]), deviation = float(recipe.deviation[c]);
    for (size_t i = c; i < fitted.rgb.size(); i += 3)
      *out++ = (float(fitted.rgb[i]) / 255 - mean) / deviation;
  }
  return result;
}

Tensor missing_image(const ImageRecipe& recipe) { return zeros({3, recipe.size, recipe.size}); }

Json to_json(const ImageRecipe& recipe) {
  const Json square = {{"height", recipe.size}, {"width", recipe.size}};
  const bool crop = recipe.fit != ImageFit::stretch;
  Json config = {{"image_processor_type", "CLIPImageProcessor"},
                 {"image_recipe", recipe.name},
                 {"do_resize", true},
                 {"size", crop ? Json{{"shortest_edge", recipe.resize}} : square},
                 {"resample", 3},
                 {"do_center_crop", crop},
                 {"do_pad", recipe.fit == ImageFit::pad},
                 {"do_rescale", true},
                 {"rescale_factor", 1.0 / 255},
                 {"do_normalize", true},
                 {"image_mean", recipe.mean},
                 {"image_std", recipe.deviation},
                 {"do_convert_rgb", true}};
  if (crop) config["crop_size"] = square;
  return config;
}

ImageRecipe recipe_from_json(const Json& config, std::string_view what) {
  for (const char* step : {"do_resize", "do_rescale", "do_normalize"})
    require<IoError>(json_get<bool>(config, step, what, true), what, ": key '", step, "': wanted true");
  const auto resample = json_get<int64_t>(config, "resample", what, int64_t(3));
  require<IoError>(resample == 3, what, ": key 'resample': wanted 3 (bicubic), found ", resample);
  const auto factor = json_get<double>(config, "rescale_factor", what, 1.0 / 255);
  require<IoError>(std::abs(factor * 255 - 1) < 1e-6, what, ": key 'rescale_factor': wanted 1/255, found ",
                   factor);

  ImageRecipe recipe;
  recipe.mean = triple(config, "image_mean", what);
  recipe.deviation = triple(config, "image_std", what);
  for (double deviation : recipe.deviation)
    require<IoError>(deviation > 0, what, ": key 'image_std': wanted positive numbers, found ", deviation);
  const Json& size = member(config, "size", what);
  const bool pad = json_get<bool>(config, "do_pad", what, false);
  // A bare number was the shortest edge where a crop follows, in older files.
  const bool crop = json_get<bool>(config, "do_center_crop", what, false);
  if (crop || pad) {
    const bool bare = size.is_number_integer();
    recipe.resize = checked_edge(bare ? size.get<int64_t>() : json_get<int64_t>(size, "shortest_edge", what),
                                 "size", what);
    recipe.size = crop ? square_edge(member(config, "crop_size", what), "crop_size", what) : recipe.resize;
    require<IoError>(recipe.size <= recipe.resize, what, ": key 'crop_size': ", recipe.size,
                     " is more than the resized edge of ", recipe.resize);
  } else {
    recipe.size = recipe.resize = square_edge(size, "size", what);
  }
  recipe.fit = pad ? ImageFit::pad : crop ? ImageFit::crop : ImageFit::stretch;
  const std::string name = pad ? "llava_pad" : crop ? "clip_crop" : "plain";
  recipe.name = json_get<std::string>(config, "image_recipe", what, name);
  return recipe;
}

std::string recipe_mismatch(const ImageRecipe& recipe, const ImageRecipe& tower) {
  std::string differences;
  const auto compare = [&](const char* what, const std::string& ours, const std::string& theirs) {
    if (ours != theirs)
      differences += concat(differences.empty() ? "" : "; ", what, " ", ours, ", the tower wants ", theirs);
  };
  compare("mean", print(recipe.mean), print(tower.mean));
  compare("deviation", print(recipe.deviation), print(tower.deviation));
  compare("size", concat(recipe.size), concat(tower.size));
  compare("resized edge", concat(recipe.resize), concat(tower.resize));
  compare("fit:", print(recipe.fit), print(tower.fit));
  return differences.empty() ? "" : concat("image recipe ", recipe.name, ": ", differences);
}

}  // namespace dehvf
