#include "train/insight.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/ops/optimizer.h"
#include "layers/fusion/fuser.h"
#include "train/adapter_task.h"

namespace dehvf {
namespace {

constexpr size_t kQuestions = 128, kWatched = 8;

double entropy_of(std::span<const float> weights) {
  double entropy = 0;
  for (const double w : weights)
    if (w > 0) entropy -= w * std::log(w);
  return entropy;
}

std::vector<double> layer_entropies(const Tensor& weights) {
  const int64_t images = weights.size(0), layers = weights.size(1), rows = weights.size(2);
  std::vector<double> entropies(static_cast<size_t>(layers));
  for (int64_t i = 0; i < images; ++i)
    for (int64_t l = 0; l < layers; ++l)
      for (int64_t p = 0; p < rows; ++p)
        entropies[size_t(l)] += entropy_of(weights[i][l][p].span<float>()) / double(images * rows);
  return entropies;
}

// [layers][positions][levels], the mean over images.
Json mean_weights(const Tensor& weights) {
  const int64_t images = weights.size(0);
  Json means = Json::array();
  for (int64_t l = 0; l < weights.size(1); ++l) {
    means.push_back(Json::array());
    for (int64_t p = 0; p < weights.size(2); ++p) {
      std::vector<double> row(size_t(weights.size(3)));
      for (int64_t i = 0; i < images; ++i)
        for (size_t g = 0; g < row.size(); ++g)
          row[g] += double(weights[i][l][p].span<float>()[g]) / double(images);
      means.back().push_back(row);
    }
  }
  return means;
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
    const Tensor scores = visual_rows(u, tensors, rows.plan).scores;
    const auto activation = rows.plan.activation;
    const Tensor active = cast((activation ? activate(scores, *activation) : scores).to(kCpu), DType::f32);
    use.resize(size_t(active.size(1)));
    for (int64_t i = 0; i < active.count(); ++i)
      use[size_t(i % active.size(1))] += std::fabs(double(active.data<float>()[i])) / double(active.size(0));
  }
};

}  // namespace

Insight look_inside(const FusedModel& model, const PictureSource& pictures, const Prompts& prompts) {
  const NoGrad no_grad;
  const PackedExamples packed = pack_with_pictures(prompts.tokens, prompts.images, prompts.ids);
  const Vision vision = model.see(pictures.levels(packed.pictures));
  Insight result;
  if (vision.state.fuser_weights.defined()) {
    result.fuser_weights = cast(vision.state.fuser_weights.value().to(kCpu), DType::f32);
    result.fuser_entropy = layer_entropies(result.fuser_weights);
  }
  Gathered gathered;
  ForwardOptions options;
  options.probe = [&](int, const Tensor& u, const VisualRows& rows, const Tensor& ffn, const Tensor& added) {
    gathered.look(u, rows, ffn, added);
  };
  model.hidden(model.plan(packed.batch), vision, options);
  for (double& use : gathered.use) use /= double(gathered.ratios.size());
  result.row_ratio = std::move(gathered.ratios);
  result.slot_use = std::move(gathered.use);
  return result;
}

Json insight(const FusedModel& model, const PictureSource& pictures, std::span<const Question> questions) {
  Prompts prompts;
  for (const Question& question : questions) {
    if (question.image < 0 || prompts.tokens.size() == kQuestions) continue;
    prompts.tokens.push_back(question.prompt);
    prompts.images.push_back(question.image);
    prompts.ids.push_back(question.id);
  }
  Json result = Json::object();
  if (prompts.tokens.empty()) return result;
  const Insight found = look_inside(model, pictures, prompts);
  if (const Tensor& weights = found.fuser_weights; weights.defined()) {
    result["fuser_weights"] = mean_weights(weights);
    result["fuser_entropy"] = found.fuser_entropy;
    result["fuser_levels"] = model.tower().config().layers;
    result["fuser_first_level"] = first_levels(model, int(weights.size(1)), int(weights.size(3)));
  }
  if (found.row_ratio.empty()) return result;
  result["row_ratio"] = found.row_ratio;
  result["slot_use"] = found.slot_use;
  return result;
}

bool fuser_collapsed(const Insight& insight) {
  if (!insight.fuser_weights.defined() || insight.fuser_weights.size(3) < 2) return false;
  const double limit = kCollapsedEntropy * std::log(double(insight.fuser_weights.size(3)));
  return std::ranges::all_of(insight.fuser_entropy, [&](double entropy) { return entropy < limit; });
}

InsightWatch::InsightWatch(const FusedModel& model, const PictureSource* pictures,
                           std::span<const Example> examples)
    : model_(model), pictures_(pictures) {
  for (const Example& example : examples) {
    if (example.image < 0 || prompts_.tokens.size() == kWatched) continue;
    prompts_.tokens.push_back(example.tokens);
    prompts_.images.push_back(example.image);
    prompts_.ids.push_back(example.id);
  }
}

Findings InsightWatch::look(int64_t step) {
  if (!pictures_ || prompts_.tokens.empty() || step < next_) return {};
  next_ = step + kLookEvery;
  const Insight found = look_inside(model_, *pictures_, prompts_);
  Findings findings;
  const auto add = [&](const char* tag, const std::vector<double>& layers) {
    for (size_t l = 0; l < layers.size(); ++l)
      findings.scalars[concat(tag, "/layer_", l < 10 ? "0" : "", l)] = layers[l];
  };
  add("fuser_entropy", found.fuser_entropy);
  add("row_ratio", found.row_ratio);
  const bool before = std::exchange(collapsed_, fuser_collapsed(found));
  if (collapsed_ && !before)
    findings.notes.push_back(
        concat("warning: the fuser's weights have collapsed: in every layer nearly all weight is on one of ",
               found.fuser_weights.size(3), " levels (step ", step, "); lower train.rate"));
  return findings;
}

}  // namespace dehvf
