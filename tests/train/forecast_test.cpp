// What a run is forecast to hold, against what the CPU held while it trained.
#include <gmock/gmock.h>

#include "toy_run.h"
#include "train/memory_report.h"

namespace dehvf {
namespace {

using Words = std::vector<std::string>;

struct Held {
  MemoryLedger::Table forecast, measured;
};

Held trained(const ToyFiles& files, const Words& changes) {
  RunConfig config = files.config(changes);
  config.batches.ahead = 1;  // what is held does not depend on how fast pictures are decoded
  dehvf::Run run(std::move(config), Use::training);
  run.begin(3);
  const SplitData data = run.load("train", Use::training);
  AdapterTask task(run.model(), run.model(), data.examples, data.pictures.get(), run.config().batches);
  Trainer trainer(task, {.steps = run.steps(data.examples.size()), .schedule = {.peak = 1e-3, .steps = 9}});
  backend(kCpu).memory().forget_peak();
  trainer.run([](const StepReport&) { return true; });
  return {run.forecast().memory, backend(kCpu).memory().at_peak()};
}

struct Case {
  std::string name;
  Words changes;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

class Forecast : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Runs, Forecast,
    testing::Values(
        Case{"dehvf", {"fusion.slots=20", "fusion.rank=8"}},
        Case{"dehvf_tower", {"fusion.slots=20", "fusion.rank=8", "tower_adapters.enabled=true"}},
        Case{"memvp", {"fusion.name=memvp", "fusion.slots=20", "fusion.level=7"}},
        Case{"llava_lora", {"fusion.name=llava", "fusion.hidden=16", "lora.rank=4"}},
        Case{"qformer",
             {"fusion.name=qformer", "fusion.queries=8", "fusion.width=16", "fusion.heads=2",
              "tower_adapters.enabled=true"}},
        Case{"lavin",
             {"fusion.name=lavin", "tower_adapters.enabled=true", "tower_adapters.form=before_attention"}},
        Case{"llama_adapter", {"fusion.name=llama_adapter", "fusion.version=1", "fusion.levels=4"}},
        Case{"adem_vl", {"fusion.name=adem_vl", "fusion.level=7"}},
        Case{"lora", {"fusion.name=none", "tower=", "lora.rank=2", "lora.targets=q,k,v,o,gate,up,down"}},
        Case{"norms", {"fusion.name=none", "tower=", "tune=norms, biases, scales"}},
        Case{"full", {"fusion.name=none", "tower=", "tune=full"}}),
    [](const auto& info) { return info.param.name; });

TEST_P(Forecast, MemoryIsHeldWithinThreePercent) {
  const ToyFiles files;
  for (const char* segment : {"keep", "recompute"})
    for (const char* micro_batch : {"3", "7"}) {
      Words changes = GetParam().changes;
      changes.insert(changes.end(), {concat("train.segment=", segment),
                                     concat("train.micro_batch=", micro_batch), "train.epochs=2"});
      const Held held = trained(files, changes);
      RecordProperty(concat(segment, micro_batch),
                     concat(percent_more(sum_of(held.measured), sum_of(held.forecast))));
      EXPECT_NEAR(percent_more(sum_of(held.measured), sum_of(held.forecast)), 0, 3)
          << segment << ", micro-batch " << micro_batch << ": forecast " << describe(held.forecast)
          << "; measured " << describe(held.measured);
    }
}

}  // namespace
}  // namespace dehvf
