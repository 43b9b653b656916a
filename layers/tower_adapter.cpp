#include "layers/tower_adapter.h"

#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "core/io/file.h"

namespace dehvf {
namespace {

constexpr int64_t kGroups = 2;  // of the ways up before the attention

}  // namespace

std::string_view name_of(TowerAdapterForm form) {
  return form == TowerAdapterForm::beside_mlp ? "beside_mlp" : "before_attention";
}

TowerAdapterForm tower_adapter_form(const std::string& name) {
  for (TowerAdapterForm form : {TowerAdapterForm::beside_mlp, TowerAdapterForm::before_attention})
    if (name == name_of(form)) return form;
  fail<ConfigError>("tower_adapters.form: wanted one of beside_mlp, before_attention, found '",
                    printable(name), "'");
}

TowerAdapters::TowerAdapters(int layers, int64_t width, const TowerAdapterConfig& config)
    : width_(width), config_(config) {
  const bool before = config.form == TowerAdapterForm::before_attention;
  require<ConfigError>(!before || (config.rank % kGroups == 0 && width % kGroups == 0),
                       "tower_adapters.rank: before the attention wanted an even rank and width, found ",
                       config.rank, " and ", width);
  require<ConfigError>(config.temperature > 0, "tower_adapters.temperature: wanted above 0, found ",
                       config.temperature);
  for (int i = 0; i < layers; ++i)
    if (before)
      before_.push_back(std::make_unique<RoutedAdapter>(width, config.rank, kGroups));
    else
      beside_.push_back(
          std::make_unique<Adapter>(Adapter{Linear(width, config.rank, Bias::none),
                                            Linear(config.rank, width, Bias::none, {Initial::Kind::zeros})}));
}

void TowerAdapters::describe(Describer& describer) {
  for (size_t i = 0; i < beside_.size(); ++i) {
    describer.child(concat("layers.", i, ".adapter.down"), beside_[i]->down);
    describer.child(concat("layers.", i, ".adapter.up"), beside_[i]->up);
  }
  for (size_t i = 0; i < before_.size(); ++i) describer.child(concat("layers.", i, ".adapter"), *before_[i]);
}

int64_t TowerAdapters::live(int deepest) const {
  return deepest * (before_.empty() ? 2 * config_.rank * width_ : before_[0]->parameters());
}

Variable TowerAdapters::before_attention(const Variable& u, int layer, const TowerDropout& dropout) const {
  if (before_.empty()) return u;
  const RoutedAdapter& adapter = *before_[size_t(layer)];
  const int64_t rows = u.shape().rows();
  const Variable x = reshape(u, {rows, width_});
  const Variable low = reshape(drop(adapter.down(u), layer, dropout), {rows, config_.rank});
  const Variable added = adapter.up(low, adapter.weights(x, config_.temperature));
  return reshape(add(x, scale(added, config_.scale)), u.shape());
}

Variable TowerAdapters::beside_mlp(const Variable& u, const Variable& out, int layer,
                                   const TowerDropout& dropout) const {
  if (beside_.empty()) return out;
  const Adapter& adapter = *beside_[size_t(layer)];
  const Variable low = drop(adapter.down(u, Activation::gelu), layer, dropout);
  return linear(low, adapter.up.weight, {.scale = config_.scale, .residual = out});
}

Variable TowerAdapters::drop(const Variable& low, int layer, const TowerDropout& dropout_of) const {
  if (!dropout_of.sample_ids.defined()) return low;
  const int64_t images = low.shape()[0], tokens = low.shape()[1];
  std::vector<int32_t> offsets;
  for (int64_t i = 0; i <= images; ++i) offsets.push_back(int32_t(i * tokens));
  // Layers of the tower count from 1000, so that they share no number with those of the language model.
  const DropoutSpec spec{.rate = config_.dropout,
                         .seed = dropout_of.seed,
                         .step = dropout_of.step,
                         .layer = 1000 + uint64_t(layer),
                         .sample_ids = dropout_of.sample_ids,
                         .step_state = dropout_of.step_state};
  return reshape(
      dropout(reshape(low, {images * tokens, config_.rank}), tensor_of(offsets, low.device()), spec),
      low.shape());
}

}  // namespace dehvf
