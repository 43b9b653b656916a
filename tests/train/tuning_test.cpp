// The language model trained in a run: saved, opened, exported for PEFT and taken back.
#include <gmock/gmock.h>

#include "core/ops/elementwise.h"
#include "models/trained_lora.h"
#include "support/golden.h"
#include "support/message.h"
#include "toy_run.h"
#include "train/open_model.h"
#include "train/trainer.h"

namespace dehvf {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

struct TuningRun : testing::Test {
  const ToyFiles files;

  RunConfig config(Words changes) const {
    changes.insert(changes.begin(), {"fusion.name=none", "tower=", "image_recipe="});
    return files.config(changes);
  }
  // Begins, does a few steps, and leaves the adapter in `folder`.
  void train(dehvf::Run& run, const std::filesystem::path& folder) const {
    run.begin(3);
    const SplitData data = run.load("train", Use::training);
    EXPECT_EQ(data.pictures, nullptr);
    AdapterTask task(run.model(), run.model(), data.examples, nullptr, run.config().batches);
    Trainer trainer(task, {.steps = 3, .schedule = {.peak = 1e-2, .warmup = 0, .steps = 3}});
    trainer.run([](const StepReport& report) {
      EXPECT_EQ(report.skipped, "");
      return true;
    });
    write_adapter_folder(folder, run.model(), run.description(3));
    verify_adapter_folder(folder, run.model(), run.description(3));
  }
  OpenedModel open(const std::filesystem::path& adapter, DType dtype = DType::f32) const {
    return open_model({.llama = files.llama(), .tower = {}, .adapter = adapter, .fusion = {}, .options = {}},
                      dtype);
  }
};

Tensor logits_of(const FusedModel& model) {
  const NoGrad no_grad;
  const std::vector<int32_t> tokens{3, 9, 4, 11, 6, 2};
  const TextBatch batch = pack(std::span(&tokens, 1));
  return model.llama().logits(model.hidden(model.plan(batch), {}, {})).value();
}

TEST_F(TuningRun, LoraIsSavedExportedAndTrainedOn) {
  dehvf::Run run(config({"lora.rank=2", "lora.alpha=5", "lora.rslora=true", "lora.targets=q,down"}),
                 Use::training);
  const Tensor before = logits_of(*open({}).model);
  train(run, files / "adapter");
  const Tensor wanted = logits_of(run.model());
  EXPECT_GT(relative_error(wanted, before), 1e-3);
  EXPECT_EQ(relative_error(logits_of(*open(files / "adapter").model), wanted), 0);

  Words notes;
  write_peft_folder(files / "adapter", files / "peft", notes);
  EXPECT_THAT(notes, IsEmpty());
  const OpenedModel peft = open(files / "peft");
  EXPECT_LT(relative_error(logits_of(*peft.model), wanted), 1e-6);

  dehvf::Run further(config({"lora.from=" + (files / "peft").string()}), Use::training);
  EXPECT_EQ(further.config().tuning.lora.rank, 2);
  EXPECT_EQ(further.config().tuning.lora.targets.text(), "q,down");
  further.begin(99);
  EXPECT_LT(relative_error(logits_of(further.model()), wanted), 1e-6);
  EXPECT_EQ(trainable_of(further.model()).size(), trainable_of(run.model()).size());
}

TEST_F(TuningRun, AllWeightsAreTrainedAndSaved) {
  dehvf::Run run(config({"tune=full"}), Use::training);
  const OpenedModel base = open({});
  run.begin(5);
  EXPECT_EQ(relative_error(logits_of(run.model()), logits_of(*base.model)), 0);  // no new start
  train(run, files / "adapter");
  EXPECT_GT(relative_error(logits_of(run.model()), logits_of(*base.model)), 1e-3);
  EXPECT_EQ(relative_error(logits_of(*open(files / "adapter").model), logits_of(run.model())), 0);
  Words notes;
  EXPECT_THAT(message_of<ConfigError>([&] { write_peft_folder(files / "adapter", files / "peft", notes); }),
              HasSubstr("has no LoRA"));

  dehvf::Run half(config({"tune=full", "dtype=bf16"}));
  load_adapter(files / "adapter", half.model(), false);
  half.model().move_to(kCpu);
  for (const auto& [path, parameter] : parameters_of(half.model()))
    EXPECT_EQ(parameter->value().dtype(), DType::bf16) << path;
}

TEST_F(TuningRun, NormsBiasesAndScalesBeginAsNothing) {
  dehvf::Run run(config({"tune=norms, biases, scales"}), Use::training);
  run.begin(5);
  EXPECT_EQ(relative_error(logits_of(run.model()), logits_of(*open({}).model)), 0);
  train(run, files / "adapter");
  EXPECT_EQ(relative_error(logits_of(*open(files / "adapter").model), logits_of(run.model())), 0);
}

TEST_F(TuningRun, AnAdapterOfOtherTuningIsRefused) {
  const dehvf::Run lora(config({"lora.rank=2"})), more(config({"lora.rank=3"})), none(config({}));
  lora.check(lora.description(1));
  EXPECT_THAT(message_of<ConfigError>([&] { more.check(lora.description(1)); }),
              AllOf(HasSubstr("lora.rank=2"), HasSubstr("lora.rank=3"), HasSubstr("change tune or lora.*")));
  EXPECT_THAT(message_of<ConfigError>([&] { none.check(lora.description(1)); }), HasSubstr("the tuning"));
}

TEST_F(TuningRun, WhatPeftCannotHoldIsNoted) {
  dehvf::Run run(config({"lora.rank=2", "tune=norms"}), Use::training);
  run.begin(1);
  write_adapter_folder(files / "adapter", run.model(), run.description(0));
  Words notes;
  write_peft_folder(files / "adapter", files / "peft", notes);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("17 of 49 tensors are no LoRA")));
}

TEST_F(TuningRun, OnlyWhereNothingIsLookedAtNoTowerIsWanted) {
  EXPECT_THAT(message_of<ConfigError>([&] { dehvf::Run(config({"fusion.name=memvp"})); }),
              HasSubstr("'tower' is missing"));
}

}  // namespace
}  // namespace dehvf
