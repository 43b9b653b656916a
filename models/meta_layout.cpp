#include "models/meta_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace dehvf {
namespace {

using Rotary = MetaTensor::Rotary;

struct Row {
  std::string_view meta, hugging_face;
  int axis;  // -1: replicated
  Rotary rotary = Rotary::none;
};
constexpr std::array kOutside{Row{"tok_embeddings.weight", "model.embed_tokens.weight", 1},
                              Row{"norm.weight", "model.norm.weight", -1},
                              Row{"output.weight", "lm_head.weight", 0}};
constexpr std::array kInLayer{Row{"attention.wq.weight", "self_attn.q_proj.weight", 0, Rotary::query},
                              Row{"attention.wk.weight", "self_attn.k_proj.weight", 0, Rotary::key},
                              Row{"attention.wv.weight", "self_attn.v_proj.weight", 0},
                              Row{"attention.wo.weight", "self_attn.o_proj.weight", 1},
                              Row{"feed_forward.w1.weight", "mlp.gate_proj.weight", 0},
                              Row{"feed_forward.w3.weight", "mlp.up_proj.weight", 0},
                              Row{"feed_forward.w2.weight", "mlp.down_proj.weight", 1},
                              Row{"attention_norm.weight", "input_layernorm.weight", -1},
                              Row{"ffn_norm.weight", "post_attention_layernorm.weight", -1}};

template <size_t N>
std::optional<MetaTensor> find(const std::array<Row, N>& table, std::string_view name,
                               const std::string& prefix) {
  for (const Row& row : table)
    if (row.meta == name)
      return MetaTensor{prefix + std::string(row.hugging_face),
                        row.axis < 0 ? std::nullopt : std::optional<int>(row.axis), row.rotary};
  return std::nullopt;
}

}  // namespace

std::optional<MetaTensor> meta_tensor(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return find(kOutside, name, "");
  name.remove_prefix(kLayers.size());
  const size_t digits = std::min(name.find('.'), name.size());
  const auto layer = name.substr(0, digits);
  const bool number =
      !layer.empty() && std::all_of(layer.begin(), layer.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || digits == name.size()) return std::nullopt;
  return find(kInLayer, name.substr(digits + 1), concat("model.layers.", layer, "."));
}

Tensor permute_rotary_rows(const Tensor& weight, int64_t heads) {
  const int64_t rows = weight.size(0);
  require(heads > 0 && rows % (2 * heads) == 0, "rotary rows: ", weight.shape(), " does not hold ", heads,
          " heads of even size");
  Tensor result(weight.shape(), weight.dtype());
  const int64_t half = rows / heads / 2;
  const size_t row_bytes = rows == 0 ? 0 : weight.bytes() / size_t(rows);
  const auto* from = static_cast<const std::byte*>(weight.raw());
  auto* to = static_cast<std::byte*>(result.raw());
  for (int64_t row = 0; row < rows; ++row, to += row_bytes) {
    const int64_t head = row / (2 * half), side = row / half % 2, i = row % half;
    std::memcpy(to, from + size_t(head * 2 * half + 2 * i + side) * row_bytes, row_bytes);
  }
  return result;
}

}  // namespace dehvf
