// The plan counts and books what the CPU does.
#include <numeric>

#include <gtest/gtest.h>

#include "core/random.h"
#include "train/contract/tiny.h"
#include "train/planned_model.h"

namespace dehvf {
namespace {

const StepSize kSize{.samples = 2, .length = 32, .supervised = 8};  // sizes that are not filled up

size_t sum(const MemoryLedger::Table& table) {
  return std::accumulate(table.begin(), table.end(), size_t(0));
}

struct Done {
  double flops;
  double held, workspaces;  // bytes at the peak
};

Done on_the_cpu(const LlamaConfig& llama, const VisionConfig& tower, const FusedModelOptions& options,
                const StepSize& size) {
  MemoryLedger& ledger = backend(kCpu).memory();
  const size_t before = sum(ledger.now());
  FusedModel model(llama, tower, options);
  const auto noise = [](const std::string&, const Shape& shape) { return random_normal(shape, 0.1, 1); };
  load_parameters(model.llama(), noise, /*trainable=*/false);
  if (!model.fusion().tower().levels.empty()) load_parameters(model.tower(), noise, /*trainable=*/false);
  initialise(model, 2);
  model.move_to(kCpu);
  RandomStep step(model, size, DType::f32);
  step.step();
  ledger.forget_peak();
  const Trace trace;
  step.step();
  Done done{0, double(sum(ledger.at_peak()) - before), double(ledger.at_peak()[size_t(Purpose::workspaces)])};
  for (const auto& [kernel, line] : trace.lines) done.flops += line.flops;
  return done;
}

double fuser_gradients(FusedModel& model) {
  double bytes = 0;
  for (const NamedParameter& named : parameters_of(model))
    if (named.path.find("fuser.") != std::string::npos)
      bytes += double(size_of(DType::f32)) * double(named.parameter->shape().count());
  return bytes;
}

class Planned : public testing::TestWithParam<tiny::Case> {};
INSTANTIATE_TEST_SUITE_P(All, Planned, testing::ValuesIn(tiny::all_cases()));

TEST_P(Planned, StepHasTheFlopsAndTheMemoryOfTheCpu) {
  LlamaConfig llama = tiny::llama();
  llama.context = 64;
  const FusedModelOptions options{.fusion = GetParam().fusion,
                                  .config = FusionConfig(GetParam().options),
                                  .tower_adapters = true,
                                  .adapters = {.rank = 2},
                                  .tuning = GetParam().tuning,
                                  .attention = GetParam().attention};
  PlannedModel planned(llama, tiny::tower(), options, DType::f32);
  if (parameters_of(planned.model()).empty()) GTEST_SKIP() << "nothing is trained";
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    StepSize size = kSize;
    size.mode = mode;
    const PlannedWork work = planned.train_step(size);
    const Done done = on_the_cpu(llama, tiny::tower(), options, size);
    EXPECT_EQ(work.flops(), done.flops);
    // The CPU's kernels have workspaces of their own; its table of RoPE is twice as wide, and its fuser is
    // several ops, whose results are kept and whose gradients come one after the other. The plan's is one
    // launch each way, with all gradients at once.
    EXPECT_LT(double(work.bytes()), 1.01 * done.held + fuser_gradients(planned.model()));
    EXPECT_GT(double(work.bytes()), 0.95 * done.held - done.workspaces);
  }
}

}  // namespace
}  // namespace dehvf
