#include "models/published_shapes.h"

#include <map>
#include <utility>

#include "core/io/file.h"

namespace dehvf {
namespace {

template <class Config>
Config named(const char* what, const std::map<std::string, Config>& known, const std::string& name) {
  if (const auto found = known.find(name); found != known.end()) return found->second;
  std::string names;
  for (const auto& [other, config] : known) names += concat(names.empty() ? "" : ", ", other);
  fail<ConfigError>(what, ": the shape of '", printable(name), "' is not known here; known: ", names);
}

}  // namespace

LlamaConfig published_llama(const std::string& name) {
  return named<LlamaConfig>("model", {{"llama-7b", llama_7b()}, {"llama-13b", llama_13b()}}, name);
}

VisionConfig published_tower(const std::string& name) {
  VisionConfig wide = clip_l14();
  wide.image = 336;
  VisionConfig dinov2 = dinov2_l14();  // is given smaller pictures than it was trained on
  dinov2.stored_image = std::exchange(dinov2.image, 224);
  return named<VisionConfig>("tower",
                             {{"clip-vit-large-patch14", clip_l14()},
                              {"clip-vit-large-patch14-336", wide},
                              {"dinov2-large", dinov2},
                              {"siglip-so400m-patch14-384", siglip_so400m()}},
                             name);
}

}  // namespace dehvf
