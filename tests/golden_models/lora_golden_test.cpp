// What is trained of the language model against PEFT, in f64 (tests/golden/make_peft.py, make_peft_step.py).
#include <gmock/gmock.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "golden_models/fixture.h"
#include "models/fused_model.h"
#include "models/merge_lora.h"
#include "models/trained_lora.h"
#include "support/message.h"
#include "support/temporary_folder.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const VisionConfig kTower{.width = 8, .mlp = 8, .layers = 1, .heads = 1, .patch = 2, .image = 4};

LlamaConfig config_of(const std::string& base) {
  std::vector<std::string> notes;
  return read_llama_config(golden(base), notes);
}

LoraAdapter adapter_in(const std::filesystem::path& folder) {
  std::vector<std::string> notes;
  return read_lora(folder, notes);
}

struct Tuned {
  Tuned(const std::string& base, const LlamaTuning& tuning, DType dtype)
      : model(config_of(base), kTower, {.tuning = tuning}) {
    load_from(model.llama(), load_safetensors(golden(base + "/model.safetensors")), dtype, false);
  }
  Tensor logits(const std::vector<int32_t>& tokens) const {
    const NoGrad no_grad;
    const TextBatch batch = pack(std::span(&tokens, 1));
    return model.llama().logits(model.hidden(model.plan(batch), {}, {})).value();
  }
  FusedModel model;
};

void to_double(Module& module) {
  for (const auto& [path, parameter] : parameters_of(module))
    if (parameter->trainable()) parameter->set_trainable(cast(parameter->value(), DType::f64), path);
}

TEST(LoraGolden, FoldersOfPeftHaveItsLogitsUnmerged) {
  for (const char* name : {"lora", "rslora"}) {
    const auto truth = load_safetensors(golden(concat("peft/", name, "_expected.safetensors")));
    const auto tokens = integers<int32_t>(truth.at("token_ids"));
    const LoraAdapter adapter = adapter_in(golden("peft") / name);
    Tuned tuned("llama/mha_f32", tuning_for(adapter), DType::f64);
    load_lora(tuned.model.llama(), adapter, true);
    to_double(tuned.model);
    EXPECT_LT(relative_error(tuned.logits(tokens), truth.at("logits")), 1e-9) << name;
  }
}

class LoraStep : public testing::TestWithParam<SegmentMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, LoraStep, testing::Values(SegmentMode::keep, SegmentMode::recompute));

TEST_P(LoraStep, LossAndGradientsInDouble) {
  const auto truth = load_safetensors(golden("peft/step_expected.safetensors"));
  const LoraAdapter adapter = adapter_in(golden("peft/step"));
  LlamaTuning tuning = tuning_for(adapter);
  tuning.tune = "norms,biases,scales";
  Tuned tuned("llama/gqa_f32", tuning, DType::f64);
  load_lora(tuned.model.llama(), adapter, true);
  for (const auto& [path, parameter] : parameters_of(tuned.model)) {
    const auto found = truth.find("value." + path);
    parameter->set_trainable(cast(found == truth.end() ? parameter->value() : found->second, DType::f64),
                             path);
  }
  std::vector<std::vector<int32_t>> tokens, labels;
  for (int i = 0; i < 2; ++i) {
    tokens.push_back(integers<int32_t>(truth.at(concat("token_ids.", i))));
    EXPECT_LT(relative_error(tuned.logits(tokens.back()), truth.at(concat("logits.", i))), 1e-9);
    labels.push_back(tokens.back());
    std::fill(labels.back().begin(), labels.back().end() - 4, kIgnored);
  }
  const TextBatch batch = pack(tokens);
  const Supervised wanted = supervised(batch, labels);
  const Variable losses = tuned.model.losses(tuned.model.plan(batch, wanted.rows), wanted.targets, {},
                                             {.training = true, .mode = GetParam()});
  const Variable loss = scale(sum_all(losses), 1.0 / double(wanted.targets.count()));
  EXPECT_NEAR(item(loss.value()), item(truth.at("loss")), 1e-9);
  backward(loss);
  int checked = 0;
  for (const auto& [path, parameter] : trainable_of(tuned.model)) {
    EXPECT_LT(relative_error(parameter->variable().grad(), truth.at("grad." + path), 1e-6), 1e-9) << path;
    ++checked;
  }
  EXPECT_EQ(checked, 2 * 7 * 4 + 5);
}

TEST(TrainedLora, AWrittenFolderContinuesAndMergesEqual) {
  const std::vector<int32_t> tokens{5, 9, 3, 44, 12};
  const LlamaTuning tuning{.lora = {.rank = 3, .alpha = 5, .rslora = true, .targets = "down,q"}};
  Tuned first("llama/mha_f32", tuning, DType::f32);
  initialise(first.model, 7);
  NamedTensors tensors;
  for (const auto& [path, parameter] : trainable_of(first.model)) {
    parameter->set_trainable(add(parameter->value(), full(parameter->shape(), 0.01, DType::f32)), path);
    tensors.emplace_back(path, parameter->value());
  }
  ASSERT_EQ(tensors.size(), 2u * 2 * 2);
  const TemporaryFolder folder;
  write_lora(folder / "lora", lora_among(tensors, "llama.", tuning.lora));

  const LoraAdapter read = adapter_in(folder / "lora");
  EXPECT_EQ(tuning_for(read).lora.targets.text(), "q,down");
  EXPECT_NEAR(tuning_for(read).lora.alpha, tuning.lora.alpha, 1e-12);
  Tuned second("llama/mha_f32", tuning_for(read), DType::f32);
  load_lora(second.model.llama(), read, true);
  const Tensor wanted = first.logits(tokens);
  EXPECT_LT(relative_error(second.logits(tokens), wanted), 1e-7);
  Tuned merged("llama/mha_f32", {}, DType::f32);
  EXPECT_GT(relative_error(merged.logits(tokens), wanted), 1e-3);
  merge_lora(merged.model.llama(), read);
  EXPECT_LT(relative_error(merged.logits(tokens), wanted), 1e-5);
}

TEST(TrainedLora, WhatDoesNotFitIsListed) {
  const LoraAdapter adapter = adapter_in(golden("peft/lora"));
  Tuned other("llama/mha_f32", {.lora = {.rank = 5, .targets = "q,k"}}, DType::f32);
  EXPECT_THAT(message_of<ConfigError>([&] { load_lora(other.model.llama(), adapter, true); }),
              AllOf(HasSubstr("q_proj.lora_A.weight (the model's is [5, 48], the adapter's [4, 48])"),
                    HasSubstr("v_proj.lora_B.weight (not in this model)"),
                    HasSubstr("k_proj.lora_A.weight (not in the adapter)")));
  LoraAdapter mixed = adapter;
  mixed.modules.begin()->second.scale = 1;
  EXPECT_THAT(message_of<ConfigError>([&] { tuning_for(mixed); }), HasSubstr("wanted one for all"));
  mixed.modules["lm_head"] = mixed.modules.begin()->second;
  EXPECT_THAT(message_of<ConfigError>([&] { tuning_for(mixed); }), HasSubstr("lm_head is no map"));
}

TEST(Tuning, ListsAreHeldAgainstWhatThereIs) {
  const auto targets = [](const char* list) { return message_of<ConfigError>([&] { LoraTargets{list}; }); };
  EXPECT_THAT(targets("q,w"),
              AllOf(HasSubstr("lora.targets"), HasSubstr("gate, up, down"), HasSubstr("'w'")));
  EXPECT_THAT(targets("q, q"), HasSubstr("'q' stands twice"));
  EXPECT_THAT(targets(""), HasSubstr("found nothing"));
  EXPECT_EQ(LoraTargets("down , q").text(), "q,down");
  for (const char* list : {"none", "full", "norms", "norms,biases,scales"})
    EXPECT_EQ(TunedParts(list).text(), list);
  EXPECT_THAT(message_of<ConfigError>([&] { TunedParts{"norms,full"}; }),
              AllOf(HasSubstr("tune"), HasSubstr("norms, biases, scales"), HasSubstr("'full'")));
}

TEST(Tuning, ValuesThatCannotBeAreRefused) {
  const auto refusal = [](const LlamaTuning& tuning) {
    return message_of<ConfigError>([&] { tuning.check(); });
  };
  EXPECT_THAT(refusal({.lora = {.rank = 1, .dropout = 1}}), HasSubstr("lora.dropout"));
  EXPECT_THAT(refusal({.lora = {.rank = -1}}), HasSubstr("lora.rank"));
  EXPECT_THAT(refusal({.lora = {.rank = 1}, .tune = "full"}), HasSubstr("leave lora.rank at 0"));
  LlamaTuning().check();
}

}  // namespace
}  // namespace dehvf
