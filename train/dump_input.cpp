#include "train/dump_input.h"

#include <algorithm>
#include <limits>

#include "core/io/file.h"
#include "core/io/json.h"
#include "layers/batch.h"
#include "train/picture_source.h"

namespace dehvf {
namespace {

int32_t id_of(const Json& value, const std::string& what) {
  require<IoError>(value.is_number_integer() && value >= std::numeric_limits<int32_t>::min() &&
                       value <= std::numeric_limits<int32_t>::max(),
                   what, ": wanted integers of 32 bits, found ", value.dump().substr(0, 60));
  return value.get<int32_t>();
}

std::vector<int32_t> ids_of(const Json& list, const std::string& what) {
  require<IoError>(list.is_array(), what, ": wanted a list of integers, found ", list.type_name());
  std::vector<int32_t> ids;
  for (const Json& value : list) ids.push_back(id_of(value, what));
  return ids;
}

void add_sample(const Json& sample, const std::string& what, DumpInput& input) {
  require<IoError>(sample.is_object() && sample.contains("tokens"), what,
                   ": wanted an object with the key 'tokens'");
  static const std::string kKeys[] = {"tokens", "labels", "image"};
  for (const auto& [key, unused] : sample.items())
    require<IoError>(std::ranges::find(kKeys, key) != std::end(kKeys), what, ": unknown key '",
                     printable(key), "'; wanted tokens, labels, image");
  input.tokens.push_back(ids_of(sample["tokens"], what + ".tokens"));
  const bool labelled = sample.contains("labels") && !sample["labels"].is_null();
  input.labels.push_back(labelled ? ids_of(sample["labels"], what + ".labels")
                                  : std::vector<int32_t>(input.tokens.back().size(), kIgnored));
  const bool seeing = sample.contains("image") && !sample["image"].is_null();
  input.image_of.push_back(seeing ? id_of(sample["image"], what + ".image") : -1);
}

Tensor pixels_of(std::span<const std::filesystem::path> images, const std::optional<ImageRecipe>& recipe) {
  if (images.empty()) return {};
  if (images[0].extension() == ".safetensors") {
    require<ConfigError>(images.size() == 1, "images: one safetensors file holds the pixels of all images");
    const Tensor pixels = SafetensorsFile(images[0]).load("pixels");
    require<IoError>(is_float(pixels.dtype()), images[0].string(), ": pixels of ", pixels.dtype(),
                     ", wanted a float type");
    return pixels;
  }
  require<ConfigError>(recipe.has_value(),
                       "images: the tower's folder has no preprocessor_config.json that says how to prepare "
                       "them; add one, or give pixels in a safetensors file");
  return load_pixels(images, *recipe);
}

}  // namespace

DumpInput read_dump_input(const std::filesystem::path& tokens, std::span<const std::filesystem::path> images,
                          const std::optional<ImageRecipe>& recipe) {
  const Json json = read_json(tokens);
  const std::string what = tokens.string();
  require<IoError>(json.is_object() && json.contains("samples") && json["samples"].is_array(), what,
                   ": wanted an object with a list under the key 'samples'");
  DumpInput input;
  for (const Json& sample : json["samples"])
    add_sample(sample, concat(what, ": samples[", input.tokens.size(), "]"), input);
  input.pixels = pixels_of(images, recipe);
  return input;
}

}  // namespace dehvf
