// Whole models of golden fixtures, an operator between the frozen LLaMA and tower of tests/golden/dehvf.
#pragma once

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "golden_models/fixture.h"
#include "models/fused_model.h"

namespace dehvf {

inline LlamaConfig fused_llama_config() {
  std::vector<std::string> notes;
  return read_llama_config(golden("dehvf/llama"), notes);
}

inline std::vector<std::vector<int32_t>> cut(const std::vector<int32_t>& flat,
                                             const std::vector<int64_t>& lengths) {
  std::vector<std::vector<int32_t>> parts;
  auto at = flat.begin();
  for (int64_t length : lengths) parts.emplace_back(at, at + length), at += length;
  return parts;
}

/// The shared fuser's tensors under the names of each group's.
inline Tensors with_fuser_of_groups(const Tensors& given, int groups) {
  Tensors result;
  for (const auto& [name, tensor] : given)
    if (!name.starts_with("fuser."))
      result.emplace(name, tensor);
    else
      for (int group = 0; group < groups; ++group)
        result.emplace(concat("fuser.", group, name.substr(5)), tensor);
  return result;
}

/// A model of the folders in dehvf/ joined by an operator, and the batch of `name`_expected.
struct FusedFixture {
  FusedFixture(const std::string& name, const std::string& fusion, std::map<std::string, std::string> config,
               DType dtype, const TowerAdapterConfig& adapters = {.rank = 3, .scale = 0.1, .dropout = 0},
               int fusers = 0)
      : expected(load_safetensors(golden(name + "_expected.safetensors"))),
        model(fused_llama_config(), read_vision_config(golden("dehvf/tower")),
              {.fusion = fusion,
               .config = FusionConfig(std::move(config)),
               .tower_adapters = true,
               .adapters = adapters}) {
    load_from(model.llama(), load_safetensors(golden("dehvf/llama/model.safetensors")), dtype, false);
    load_from(model.tower(), load_safetensors(golden("dehvf/tower/model.safetensors")), dtype, false);
    const Tensors adapter = load_safetensors(golden(name + ".safetensors"));
    load_from(model, fusers > 0 ? with_fuser_of_groups(adapter, fusers) : adapter, dtype, true);
    const auto lengths = integers<int64_t>(expected.at("lengths"));
    std::vector<int32_t> image_of;
    if (expected.contains("image_of"))
      image_of = integers<int32_t>(expected.at("image_of"));
    else
      for (int64_t present : integers<int64_t>(expected.at("present")))
        image_of.push_back(present ? int32_t(image_of.size()) : -1);
    batch = pack(cut(integers<int32_t>(expected.at("token_ids")), lengths), image_of);
    labelled = supervised(batch, cut(integers<int32_t>(expected.at("labels")), lengths));
    pixels = cast(expected.at("pixels"), dtype);
  }

  Tensors expected;
  FusedModel model;
  TextBatch batch;
  Supervised labelled;
  Tensor pixels;
};

/// Loss and all gradients; those that are zero by theory are compared with the others' size in mind.
inline void check_gradients(FusedFixture& f, SegmentMode mode, double bound, DType dtype) {
  const Variable embeddings = Variable::parameter(cast(f.expected.at("embeddings"), dtype), "embeddings");
  const Vision vision = f.model.see(f.model.look(f.pixels));
  const TextPlan plan = f.model.plan(f.batch, f.labelled.rows);
  const Variable hidden = f.model.llama().forward(plan, embeddings, vision, {.mode = mode});
  const Variable losses = f.model.llama().losses(hidden, f.labelled.targets);
  const Variable loss = scale(sum_all(losses), 1.0 / double(f.labelled.targets.count()));
  EXPECT_NEAR(item(loss.value()), item(f.expected.at("loss")), bound);
  backward(loss);
  EXPECT_LT(relative_error(embeddings.grad(), f.expected.at("grad.embeddings"), 1e-6), bound);
  int checked = 0;
  for (const auto& [path, parameter] : trainable_of(f.model)) {
    const Tensor want = f.expected.at("grad." + path), got = parameter->variable().grad();
    if (!got.defined()) {  // never reached: zero by theory
      for (double v : cast(want, DType::f64).span<double>()) EXPECT_EQ(v, 0) << path;
      continue;
    }
    ++checked;
    EXPECT_LT(relative_error(got, want, path.ends_with(".k.bias") ? 1e-3 : 1e-6), bound) << path;
  }
  EXPECT_GT(checked, 7);
}

}  // namespace dehvf
