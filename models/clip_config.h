// Sizes and constants of a CLIP vision tower, and its folder's config.json.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/ops/elementwise.h"

namespace dehvf {

struct ClipConfig {
  int64_t width = 1024, mlp = 4096;
  int layers = 24, heads = 16;
  int64_t patch = 14, image = 224;
  Activation activation = Activation::gelu_quick;
  double norm_eps = 1e-5;

  int64_t patches() const { return (image / patch) * (image / patch); }
  friend bool operator==(const ClipConfig&, const ClipConfig&) = default;
};

ClipConfig clip_l14();  // ViT-L/14 at 224 px

/// Reads `folder`/config.json, of a tower alone or of a whole CLIP (then its vision_config). Absent keys take
/// the class's defaults, which are those of a ViT-B/32. Throws IoError for a damaged file, ConfigError for
/// another architecture or activation.
ClipConfig read_clip_config(const std::filesystem::path& folder);

void write_clip_config(const std::filesystem::path& folder,
                       const ClipConfig& config);  // vision-only, atomically

}  // namespace dehvf
