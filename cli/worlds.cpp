#include "cli/worlds.h"

#include "core/error.h"

namespace dehvf::cli {

SceneWorld open_world(const std::string& kind, const std::filesystem::path&) {
  if (kind == "scenes") return SceneWorld::shapes();
  fail<ConfigError>("data kind: wanted scenes or pictures, found '", kind, "'");
}

}  // namespace dehvf::cli
