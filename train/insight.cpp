#include "train/insight.h"

#include <cmath>

#include "core/ops/optimizer.h"
#include "layers/fusion/fuser.h"
#include "train/adapter_task.h"

namespace dehvf {
namespace {

constexpr size_t kQuestions = 128;

// Mean over images of weights [images, layers, positions, levels], and the mean entropy of each layer's rows.
void add_fuser(const Tensor& weights, Json& result) {
  const int64_t images = weights.size(0), layers = weights.size(1), positions = weights.size(2),
                levels = weights.size(3);
  Json means = Json::array(), entropies = Json::array();
  const auto at = [&](int64_t i, int64_t l, int64_t p, int64_t g) {
    return double(weights.data<float>()[((i * layers + l) * positions + p) * levels + g]);
  };
  for (int64_t l = 0; l < layers; ++l) {
    double entropy = 0;
    means.push_back(Json::array());
    for (int64_t p = 0; p < positions; ++p) {
      Json row = Json::array();
      for (int64_t g = 0; g < levels; ++g) {
        double sum = 0;
        for (int64_t i = 0; i < images; ++i) {
          const double w = at(i, l, p, g);
          sum += w;
          if (w > 0) entropy -= w * std::log(w);
        }
        row.push_back(sum / double(images));
      }
      means.back().push_back(row);
    }
    entropies.push_back(entropy / double(images * positions));
  }
  result["fuser_weights"] = means;
  result["fuser_entropy"] = entropies;
}

// The level (counted from 0) that the first weight of each layer stands for.
Json first_levels(const FusedModel& model, int layers, int levels_per_group) {
  const int groups = model.tower().config().layers / levels_per_group;
  const auto& options = model.options().config.resolved();
  const auto mapping = options.find("mapping");
  const bool reversed = mapping != options.end() && mapping->second == "reversed";
  Json first = Json::array();
  for (int layer = 0; layer < layers; ++layer) {
    const int group = group_of(layer, layers, groups);
    first.push_back((reversed ? groups - 1 - group : group) * levels_per_group);
  }
  return first;
}

// What a row probe gathers.
struct Gathered {
  std::vector<double> ratios, use;

  void look(const Tensor& u, const VisualRows& rows, const Tensor& ffn, const Tensor& added) {
    ratios.push_back(std::sqrt(squared_norm(added) / squared_norm(ffn)));
    const auto value = [](const Variable& v) { return v.defined() ? v.value() : Tensor(); };
    const VisualRowsTensors tensors{value(rows.slot_keys),    value(rows.slot_values), value(rows.image_keys),
                                    value(rows.image_values), value(rows.basis),       value(rows.bias)};
    const Tensor active = activate(visual_rows(u, tensors, rows.plan).scores, rows.plan.activation);
    use.resize(size_t(active.size(1)));
    for (int64_t i = 0; i < active.count(); ++i)
      use[size_t(i % active.size(1))] += std::fabs(double(active.data<float>()[i])) / double(active.size(0));
  }
};

}  // namespace

Json insight(const FusedModel& model, const PictureSource& pictures, std::span<const Question> questions) {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<int32_t> images;
  std::vector<int64_t> ids;
  for (const Question& question : questions) {
    if (question.image < 0 || prompts.size() == kQuestions) continue;
    prompts.push_back(question.prompt);
    images.push_back(question.image);
    ids.push_back(question.id);
  }
  Json result = Json::object();
  if (prompts.empty()) return result;
  const NoGrad no_grad;
  const PackedExamples packed = pack_with_pictures(prompts, images, ids);
  const Vision vision = model.see(pictures.levels(packed.pictures));
  if (vision.state.fuser_weights.defined()) {
    const Tensor weights = vision.state.fuser_weights.value();
    add_fuser(weights, result);
    result["fuser_levels"] = model.tower().config().layers;
    result["fuser_first_level"] = first_levels(model, int(weights.size(1)), int(weights.size(3)));
  }
  Gathered gathered;
  ForwardOptions options;
  options.probe = [&](int, const Tensor& u, const VisualRows& rows, const Tensor& ffn, const Tensor& added) {
    gathered.look(u, rows, ffn, added);
  };
  model.llama().forward(packed.batch, model.llama().embed(packed.batch.tokens), vision, options);
  if (gathered.ratios.empty()) return result;
  for (double& use : gathered.use) use /= double(gathered.ratios.size());
  result["row_ratio"] = gathered.ratios;
  result["slot_use"] = gathered.use;
  return result;
}

}  // namespace dehvf
