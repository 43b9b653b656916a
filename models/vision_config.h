// Sizes and constants of a vision tower (CLIP, SigLIP, DINOv2), and its folder's config.json.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/ops/elementwise.h"

namespace dehvf {

/// What a tower's blocks are surrounded by. CLIP: a class token, a norm before the first block. SigLIP:
/// neither, but a bias of the patches. DINOv2: a class token, that bias, two scales a block; perhaps
/// registers.
enum class VisionFamily : uint8_t { clip, siglip, dinov2 };

struct VisionConfig {
  int64_t width = 1024, mlp = 4096;
  int layers = 24, heads = 16;
  int64_t patch = 14,
          image = 224;  // edges in pixels; what is left of a picture beyond its patches is cut off
  Activation activation = Activation::gelu_quick;
  double norm_eps = 1e-5;
  VisionFamily family = VisionFamily::clip;
  int64_t registers = 0;     // DINOv2's: tokens that are neither class nor patch
  int64_t stored_image = 0;  // what the position embeddings of the file are made for; 0: `image`

  int64_t grid() const { return image / patch; }
  int64_t patches() const { return grid() * grid(); }
  bool class_token() const { return family != VisionFamily::siglip; }
  int64_t tokens() const { return patches() + class_token(); }  // of a level: registers are not in it
  int64_t stored_grid() const { return (stored_image > 0 ? stored_image : image) / patch; }
  friend bool operator==(const VisionConfig&, const VisionConfig&) = default;
};

VisionConfig clip_l14();       // ViT-L/14 at 224 px
VisionConfig siglip_so400m();  // so400m, patch 14, at 384 px
VisionConfig dinov2_l14();     // ViT-L/14 at the 518 px of its files

/// Reads `folder`/config.json, of a tower alone or of a whole CLIP or SigLIP (then its vision_config); its
/// model_type says which family it is. Absent keys take the class's defaults. Throws IoError for a damaged
/// file, ConfigError for another architecture, activation or form of MLP.
VisionConfig read_vision_config(const std::filesystem::path& folder);

void write_vision_config(const std::filesystem::path& folder,
                         const VisionConfig& config);  // vision-only, atomically

}  // namespace dehvf
