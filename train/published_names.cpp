#include "train/published_names.h"

#include <algorithm>

#include "core/error.h"

namespace dehvf {
namespace {

const Tensor* find(const NamedTensors& tensors, const std::string& name) {
  const auto found = std::ranges::lower_bound(tensors, name, {}, &NamedTensors::value_type::first);
  return found != tensors.end() && found->first == name ? &found->second : nullptr;
}

void add(PublishedAdapter& to, const std::string& theirs, const std::string& ours, Shape shape) {
  to.tensors.push_back({theirs, ours, shape, shape});
}

void add_linear(PublishedAdapter& to, const std::string& theirs, const std::string& ours, int64_t out,
                int64_t in) {
  add(to, theirs + ".weight", ours + ".weight", {out, in});
  add(to, theirs + ".bias", ours + ".bias", {out});
}

// A convolution over single positions is a linear map.
void add_convolution(PublishedAdapter& to, const std::string& theirs, const std::string& ours, int64_t out,
                     int64_t in) {
  to.tensors.push_back({theirs + ".weight", ours + ".weight", {out, in, 1}, {out, in}});
  add(to, theirs + ".bias", ours + ".bias", {out});
}

constexpr const char* kBlocks = "backbone.visual.transformer.resblocks.";

PublishedAdapter map_memvp(const PublishedSide& side) {
  const int64_t slots = side.size("adapter_emb1", "slot_keys", -2),
                width = side.size("adapter_emb1", "slot_keys", -1),
                rank = side.size("adapter_proj.fc1.weight", "projector.down.weight", 0),
                tower = side.size("adapter_proj.fc1.weight", "projector.down.weight", 1),
                layers =
                    side.count(kBlocks, ".adapter_mlp.fc1.weight", "tower.layers.", ".adapter.down.weight"),
                dim = side.size(concat(kBlocks, "0.adapter_mlp.fc1.weight"),
                                "tower.layers.0.adapter.down.weight", 0);
  PublishedAdapter result;
  result.tensors = {{"adapter_emb1", "slot_keys", {1, slots, width}, {slots, width}},
                    {"adapter_emb2", "slot_values", {1, slots, width}, {slots, width}}};
  add_linear(result, "adapter_proj.fc1", "projector.down", rank, tower);
  add_linear(result, "adapter_proj.fc2", "projector.up", width, rank);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string theirs = concat(kBlocks, i, ".adapter_mlp."), ours = concat("tower.layers.", i);
    add(result, theirs + "fc1.weight", ours + ".adapter.down.weight", {dim, tower});
    add(result, theirs + "fc2.weight", ours + ".adapter.up.weight", {tower, dim});
  }
  result.fusion = {{"slots", concat(slots)}, {"rank", concat(rank)}, {"lambda", "0.01"},
                   {"scale", "0.1"},         {"dropout", "0.1"},     {"level", concat(layers - 1)}};
  result.tower = {{"form", "beside_mlp"}, {"rank", concat(dim)}, {"scale", "0.1"}, {"dropout", "0.1"}};
  return result;
}

void add_router(PublishedAdapter& to, const std::string& theirs, const std::string& ours, int64_t width,
                int64_t dim, int64_t groups) {
  add_convolution(to, theirs + "conv_A", ours + "down", dim, width);
  add_convolution(to, theirs + "conv_B", ours + "up.0", width, dim / groups);
  add_convolution(to, theirs + "conv_D", ours + "up.1", width, dim / groups);
  add_linear(to, theirs + "expert_weights", ours + "router", 2, width);
}

PublishedAdapter map_lavin(const PublishedSide& side) {
  const auto size_in_first = [&](const char* theirs, const char* ours, int axis) {
    return side.size(concat("layers.0.adapter_attn.", theirs), concat("layers.0.adapter.", ours), axis);
  };
  const int64_t width = side.size("adapter_modality_embedding.weight", "modalities", 1),
                rank = side.size("adapter_proj.conv_A.weight", "projector.down.weight", 0),
                tower = side.size("adapter_proj.conv_A.weight", "projector.down.weight", 1),
                dim = size_in_first("conv_A.weight", "down.weight", 0),
                of_group = size_in_first("conv_B.weight", "up.0.weight", 1),
                layers =
                    side.count("layers.", ".adapter_attn.conv_A.weight", "layers.", ".adapter.down.weight"),
                tower_layers = side.count(kBlocks, ".adapter_attn.conv_A.weight", "tower.layers.",
                                          ".adapter.down.weight"),
                tower_dim = side.size(concat(kBlocks, "0.adapter_attn.conv_A.weight"),
                                      "tower.layers.0.adapter.down.weight", 0);
  require<ConfigError>(of_group > 0 && dim % of_group == 0, side.what(), ": the adapters' width ", dim,
                       " does not divide into groups of ", of_group);
  PublishedAdapter result;
  add(result, "adapter_modality_embedding.weight", "modalities", {2, width});
  add_linear(result, "adapter_proj.conv_A", "projector.down", rank, tower);
  add_linear(result, "adapter_proj.conv_B", "projector.up", width, rank);
  for (int64_t l = 0; l < layers; ++l)
    add_router(result, concat("layers.", l, ".adapter_attn."), concat("layers.", l, ".adapter."), width, dim,
               dim / of_group);
  constexpr int64_t kTowerGroups = 2;  // theirs and ours
  for (int64_t i = 0; i < tower_layers; ++i)
    add_router(result, concat(kBlocks, i, ".adapter_attn."), concat("tower.layers.", i, ".adapter."), tower,
               tower_dim, kTowerGroups);
  constexpr int64_t kEvery = 4;                          // the class token of every fourth block
  const char* temperature = width == 5120 ? "5" : "10";  // of its scripts for 13B, and for 7B
  result.fusion = {{"levels", concat(tower_layers / kEvery)},
                   {"rank", concat(rank)},
                   {"dim", concat(dim)},
                   {"groups", concat(dim / of_group)},
                   {"temperature", temperature},
                   {"scale", "1"},
                   {"dropout", "0.1"},
                   {"place", "behind_bos"}};
  result.tower = {{"form", "before_attention"},
                  {"rank", concat(tower_dim)},
                  {"temperature", temperature},
                  {"scale", "1"},
                  {"dropout", "0.1"}};
  return result;
}

PublishedAdapter map_llava(const PublishedSide& side) {
  PublishedAdapter result;
  if (side.has("mm_projector.weight", "projector.weight")) {
    add_linear(result, "mm_projector", "projector", side.size("mm_projector.weight", "projector.weight", 0),
               side.size("mm_projector.weight", "projector.weight", 1));
    result.fusion = {{"projector", "linear"}};
    return result;
  }
  const int64_t hidden = side.size("mm_projector.0.weight", "projector.hidden.weight", 0);
  add_linear(result, "mm_projector.0", "projector.hidden", hidden,
             side.size("mm_projector.0.weight", "projector.hidden.weight", 1));
  add_linear(result, "mm_projector.2", "projector.out",
             side.size("mm_projector.2.weight", "projector.out.weight", 0), hidden);
  result.fusion = {{"projector", "mlp"}, {"hidden", concat(hidden)}};
  return result;
}

const PublishedLayout kLayouts[] = {
    {"MemVP",
     "memvp",
     {"adapter_emb", "adapter_proj.fc"},
     "",
     {"adapter_modality_embedding.weight"},
     map_memvp},
    {"LaVIN", "lavin", {"adapter_proj.conv_", "layers.0.adapter_attn."}, "", {}, map_lavin},
    {"LLaVA", "llava", {"mm_projector."}, "model.", {}, map_llava},
};

}  // namespace

bool PublishedSide::has(const std::string& theirs, const std::string& ours) const {
  return find(tensors_, theirs_ ? theirs : ours) != nullptr;
}

int64_t PublishedSide::size(const std::string& theirs, const std::string& ours, int axis) const {
  const std::string& name = theirs_ ? theirs : ours;
  const Tensor* found = find(tensors_, name);
  require<ConfigError>(found != nullptr, what_, ": tensor ", name, " is missing");
  require<ConfigError>(found->shape().rank() >= 2 && found->count() > 0, what_, ": tensor ", name,
                       ": wanted two axes or more, found ", found->shape());
  return found->shape()[axis];
}

int64_t PublishedSide::count(const std::string& theirs, const std::string& their_end, const std::string& ours,
                             const std::string& our_end) const {
  int64_t count = 0;
  while (has(concat(theirs, count, their_end), concat(ours, count, our_end))) ++count;
  return count;
}

std::span<const PublishedLayout> published_layouts() { return kLayouts; }

}  // namespace dehvf
