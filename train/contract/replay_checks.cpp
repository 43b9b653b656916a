#include <cmath>

#include "core/kernel.h"
#include "core/random.h"
#include "train/adapter_task.h"
#include "train/contract/lists.h"
#include "train/contract/replay.h"

namespace dehvf::contract {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};
constexpr int64_t kSteps = 4;

// Six examples, two micro-batches, of several lengths; one of them without a picture.
std::vector<Example> examples() {
  Random random(7);
  std::vector<Example> made;
  for (int64_t i = 0; i < 6; ++i) {
    Example example{.image = i == 2 ? -1 : int32_t(i % 4), .id = i};
    for (int64_t t = 0; t < 5 + 2 * (i % 4); ++t) {
      example.tokens.push_back(int32_t(random.below(tiny::llama().vocab)));
      example.labels.push_back(t < 3 ? kIgnored : example.tokens.back());
    }
    made.push_back(example);
  }
  return made;
}

// A short training.
struct Training {
  Training(const tiny::Case& c, bool kept, Device device, bool graphs)
      : model(tiny::make(c, DType::f32, 0.2)), given(examples()) {
    if (device != kCpu) model.move_to(device);
    const Tensor pixels =
        random_normal({4 * model.images(), 3, tiny::tower().image, tiny::tower().image}, 1, 9);
    pictures.emplace(model, pixels, kept);
    task.emplace(model, model, given, &*pictures,
                 AdapterTask::Options{.batch = 3, .micro_batch = 3, .seed = 4, .by_length = false});
    trainer.emplace(
        *task,
        TrainerOptions{
            .steps = kSteps, .schedule = {.peak = 1e-2, .steps = kSteps}, .clip = 1, .graphs = graphs});
    const Trace trace;
    trainer->run([&](const StepReport& report) {
      losses.push_back(report.loss);
      return true;
    });
    for (const auto& [kernel, line] : trace.lines) kernels += line.calls;
  }
  FusedModel model;
  std::vector<Example> given;
  std::optional<PictureSource> pictures;
  std::optional<AdapterTask> task;
  std::optional<Trainer> trainer;
  std::vector<double> losses;
  int64_t kernels = 0;  // asked for by the host
};

void replay(const tiny::Case& c, Verdict& verdict) { check_replay(c, true, verdict); }

}  // namespace

void check_replay(const tiny::Case& c, bool kept, Verdict& verdict) {
  if (!has_device(kEmulator)) return verdict.skip("this program has no emulated device");
  FusedModel model = tiny::make(c, DType::f32);
  if (!tiny::sees(model)) return verdict.skip("it looks at no image");
  const Training with(c, kept, kEmulator, true), without(c, kept, kEmulator, false);
  verdict.expect(with.losses == without.losses, "other losses when micro-batches are replayed");
  verdict.expect(same_bits(with.trainer->parameters().buffers().value.to(kCpu),
                           without.trainer->parameters().buffers().value.to(kCpu)),
                 "other parameters when micro-batches are replayed");
  const bool replays = model.replays();
  verdict.expect((with.kernels < without.kernels) == replays, "replays() says ", replays,
                 ", the host asked for ", with.kernels, " kernels with recording and ", without.kernels,
                 " without");
  // What fills a micro-batch up has no part in it: the CPU goes without.
  const Training plain(c, kept, kCpu, true);
  for (size_t i = 0; i < plain.losses.size(); ++i)
    verdict.expect(std::fabs(with.losses[i] - plain.losses[i]) <= 1e-4, "loss of step ", i + 1, ": ",
                   with.losses[i], ", on the CPU ", plain.losses[i]);
}

std::vector<Check> replay_checks() {
  return {{"replay", "recorded micro-batches, replayed, train to the same bits", replay, true}};
}

}  // namespace dehvf::contract
