#include "data/scene_files.h"

#include <cstdio>
#include <fstream>

#include <xxhash.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "data/png.h"

namespace dehvf {

uint64_t write_scene_picture(const std::filesystem::path& path, const Image& image) {
  std::filesystem::create_directories(path.parent_path());
  const auto bytes = encode_png(image);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), std::streamsize(bytes.size()));
  file.close();
  require<IoError>(file.good(), path.string(), ": cannot write ", bytes.size(), " bytes; is the disk full?");
  return XXH3_64bits(image.rgb.data(), image.rgb.size());
}

void write_scene_text(const std::filesystem::path& path, const std::string& text,
                      std::vector<uint64_t>& hashes) {
  write_file(path, text);
  hashes.push_back(XXH3_64bits(text.data(), text.size()));
}

uint64_t write_scene_manifest(const std::filesystem::path& folder, const SceneWorld& world,
                              const SceneDataConfig& config, const std::string& format,
                              std::span<const uint64_t> hashes) {
  const uint64_t hash = XXH3_64bits(hashes.data(), hashes.size_bytes());
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  write_json(folder / "manifest.json",
             {{"kind", world.has_pictures() ? "pictures" : "scenes"},
              {"format", format},
              {"seed", config.seed},
              {"counts", {{"train", config.train}, {"val", config.val}, {"test", config.test}}},
              {"side", world.side()},
              {"hash", hex}});
  return hash;
}

}  // namespace dehvf
