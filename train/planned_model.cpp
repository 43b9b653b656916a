#include "train/planned_model.h"

#include <cstdio>

#include <unistd.h>

#include "autograd/tape.h"
#include "core/device_report.h"
#include "core/random.h"
#include "models/generate.h"
#include "train/memory_report.h"

namespace dehvf {
namespace {

double seconds(const Trace::Call& call, const MachineRates& rates) {
  return std::max(call.flops / rates.flops, call.bytes / rates.bytes);
}

std::string amount(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, bytes < 1e9 ? "%.1f MB" : "%.1f GB", bytes * (bytes < 1e9 ? 1e-6 : 1e-9));
  return text;
}

}  // namespace

double PlannedWork::flops() const {
  double sum = 0;
  for (const Trace::Call& call : calls) sum += call.flops;
  return sum;
}

size_t PlannedWork::bytes() const { return sum_of(memory); }

std::string_view part_of(std::string_view place, std::string_view kernel) {
  const auto has = [&](std::string_view what) {
    return place.find(what) != std::string_view::npos || kernel.find(what) != std::string_view::npos;
  };
  if (has("optimizer")) return "optimizer";
  if (has("vit_block")) return "vision";
  if (has("cross_entropy")) return "lm head";
  if (!has("llama_block")) return "operator";
  if (has("visual_rows")) return "visual rows";
  if (has("attention")) return "attention";
  return has("matmul") || has("product") ? "linears" : "elementwise";
}

double floor_seconds(std::span<const Trace::Call> calls, const MachineRates& rates) {
  double sum = 0;
  for (const Trace::Call& call : calls)
    if (call.flops > 0) sum += seconds(call, rates);
  return sum;
}

double forecast_seconds(std::span<const Trace::Call> calls, const MachineRates& rates) {
  double sum = 0;
  for (const Trace::Call& call : calls) sum += std::max(seconds(call, rates), call.launches * rates.launch);
  return sum;
}

PlannedModel::PlannedModel(const LlamaConfig& llama, const VisionConfig& tower, FusedModelOptions options,
                           DType dtype, Device plan)
    : dtype_(dtype), plan_(plan), model_(std::make_unique<FusedModel>(llama, tower, std::move(options))) {
  place(model_->llama(), /*trainable=*/false);
  if (!model_->fusion().tower().levels.empty()) place(model_->tower(), /*trainable=*/false);
  place(*model_, /*trainable=*/false);
  model_->move_to(plan);
}

PlannedModel::~PlannedModel() = default;

void PlannedModel::place(Module& module, bool trainable) {
  const PurposeScope scope(trainable ? Purpose::parameters : Purpose::weights);
  place_on_plan(module, dtype_, trainable);
  move_to(module, plan_);
}

PlannedWork PlannedModel::planned(const std::function<void()>& body) {
  MemoryLedger& ledger = backend(plan_).memory();
  ledger.forget_peak();
  Trace trace;
  body();
  return {std::move(trace.planned), ledger.at_peak()};
}

template <class Step>
PlannedWork PlannedModel::train(const Step& what) {
  place(*model_, /*trainable=*/true);  // a trainer before has taken them over
  RandomStep step(*model_, what, dtype_);
  return planned([&] { step.step(); });
}

PlannedWork PlannedModel::train_step(const StepSize& size) { return train(size); }
PlannedWork PlannedModel::train_step(const StepTexts& texts) { return train(texts); }

PlannedModel::Inference PlannedModel::inference(int64_t samples, int64_t length) {
  const NoGrad no_grad;
  place(*model_, /*trainable=*/false);
  const bool looks = !model_->fusion().tower().levels.empty();
  const int64_t side = model_->tower().config().image;
  Vision vision;
  Inference result;
  result.images = planned([&] {
    const int64_t pictures = samples * model_->images();
    vision =
        model_->see(looks ? model_->look(random_normal({pictures, 3, side, side}, 1, 2)) : TowerLevels{});
  });
  std::vector<std::vector<int32_t>> tokens(size_t(samples), std::vector<int32_t>(size_t(length), 1));
  std::vector<int32_t> image_of;
  std::vector<int64_t> ids;
  for (int64_t s = 0; s < samples; ++s) image_of.push_back(looks ? int32_t(s) : -1), ids.push_back(s);
  std::optional<Decoder> decoder;
  result.first_token =
      planned([&] { decoder.emplace(model_->llama(), vision, pack(tokens, image_of, ids), 2); });
  result.next_token = planned([&] { decoder->advance(std::vector<int32_t>(size_t(samples), 1)); });
  return result;
}

std::string shortage(const PlannedWork& work, Device device, int64_t there) {
  const auto needed = int64_t(work.bytes());
  if (needed <= there) return {};
  std::string parts;
  for (size_t i = 0; i < work.memory.size(); ++i)
    if (work.memory[i] > 0)
      parts += concat(parts.empty() ? "" : ", ", name_of(Purpose(i)), ' ', amount(double(work.memory[i])));
  return concat(
      amount(double(needed)), " are held (", parts, "), ", device, " has ", amount(double(there)), ": ",
      amount(double(needed - there)),
      " too little; take a smaller train.micro_batch, train.segment=recompute, dtype=bf16, train less of "
      "the language model (tune, lora.rank), or choose another device");
}

int64_t memory_of(Device device) {
  if (device.kind == DeviceKind::cuda) return int64_t(cuda_memory(device.index));
  return int64_t(sysconf(_SC_PHYS_PAGES)) * int64_t(sysconf(_SC_PAGE_SIZE));
}

}  // namespace dehvf
