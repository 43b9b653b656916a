#include "cli/worlds.h"

#include "core/error.h"
#include "data/picture_set.h"

namespace dehvf::cli {

SceneWorld open_world(const std::string& kind, const std::filesystem::path& assets) {
  if (kind == "scenes") return SceneWorld::shapes();
  require<ConfigError>(kind == "pictures", "data kind: wanted scenes or pictures, found '", kind, "'");
  std::vector<SpriteClass> classes;
  for (PictureClass& pictures : read_picture_set(assets / "data" / "pictures")) {
    std::vector<RgbaImage> sprites = std::move(pictures.train);
    sprites.insert(sprites.end(), pictures.held_out.begin(), pictures.held_out.end());
    classes.push_back({pictures.name, std::move(sprites)});
  }
  return SceneWorld::pictures(std::move(classes));
}

}  // namespace dehvf::cli
