#include "layers/tower_adapter.h"

#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"

namespace dehvf {

TowerAdapters::TowerAdapters(int layers, int64_t width, const TowerAdapterConfig& config)
    : width_(width), config_(config) {
  for (int i = 0; i < layers; ++i)
    adapters_.push_back(
        std::make_unique<Adapter>(Adapter{Linear(width, config.rank, Bias::none),
                                          Linear(config.rank, width, Bias::none, {Initial::Kind::zeros})}));
}

void TowerAdapters::describe(Describer& describer) {
  for (size_t i = 0; i < adapters_.size(); ++i) {
    describer.child(concat("layers.", i, ".adapter.down"), adapters_[i]->down);
    describer.child(concat("layers.", i, ".adapter.up"), adapters_[i]->up);
  }
}

Variable TowerAdapters::operator()(const Variable& u, int layer, const TowerDropout& dropout_of) const {
  const Adapter& adapter = *adapters_[size_t(layer)];
  Variable low = adapter.down(u, Activation::gelu);
  if (dropout_of.sample_ids.defined()) {
    const int64_t images = u.shape()[0], tokens = u.shape()[1];
    std::vector<int32_t> offsets;
    for (int64_t i = 0; i <= images; ++i) offsets.push_back(int32_t(i * tokens));
    // Layers of the tower count from 1000, so that they share no number with those of the language model.
    const DropoutSpec spec{.rate = config_.dropout,
                           .seed = dropout_of.seed,
                           .step = dropout_of.step,
                           .layer = 1000 + uint64_t(layer),
                           .sample_ids = dropout_of.sample_ids,
                           .step_state = dropout_of.step_state};
    low =
        reshape(dropout(reshape(low, {images * tokens, config_.rank}), tensor_of(offsets, u.device()), spec),
                low.shape());
  }
  return scale(adapter.up(low), config_.scale);
}

}  // namespace dehvf
