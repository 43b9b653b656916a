// The same in f32 and on the emulated device: a training step, and decoding.
#include <algorithm>
#include <cmath>

#include "models/generate.h"
#include "train/contract/lists.h"
#include "train/contract/stepped.h"

namespace dehvf::contract {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

FusedModel& moved(FusedModel& model, Device device) {
  if (device != kCpu) model.move_to(device);
  return model;
}

bool cannot_train(const tiny::Case& c, Verdict& verdict) {
  FusedModel model = tiny::make(c, DType::f32);
  const bool nothing = trainable_of(model).empty();
  if (nothing) verdict.skip("it has no parameters");
  return nothing;
}

bool no_emulator(Verdict& verdict) {
  const bool missing = !has_device(kEmulator);
  if (missing) verdict.skip("this program has no emulated device");
  return missing;
}

// Of the gradients of weight and bias together.
double norm_of_map(const Stepped& step, size_t which) {
  const auto map_of = [](const std::string& path) { return path.substr(0, path.rfind('.')); };
  double sum = 0;
  for (size_t i = 0; i < step.gradients.size(); ++i)
    if (i == which || (step.ranges[i].path.find('.') != std::string::npos &&
                       map_of(step.ranges[i].path) == map_of(step.ranges[which].path)))
      sum += std::pow(norm(step.gradients[i]), 2);
  return std::sqrt(sum);
}

// What the CPU's f32 loses of the gradient of every part of the model (their gradients are of several sizes)
// against f64, relative, and under "loss" of the loss: the most of a few masks of dropout, because one draw
// may be small by chance.
std::map<std::string, double> relative_losses(const tiny::Case& c) {
  std::map<std::string, double> most;
  for (uint64_t seed : {3, 4, 5, 6, 7, 8}) {
    const Stepped exact(c, DType::f64, kCpu, seed), cpu(c, DType::f32, kCpu, seed);
    std::map<std::string, double> lost, all;
    for (size_t i = 0; i < exact.gradients.size(); ++i) {
      lost[exact.part(i)] += std::pow(norm_of_difference(cpu.gradients[i], exact.gradients[i]), 2);
      all[exact.part(i)] += std::pow(norm(exact.gradients[i]), 2);
    }
    lost["loss"] = std::pow(cpu.report.loss - exact.report.loss, 2);
    all["loss"] = std::pow(exact.report.loss, 2);
    for (const auto& [part, squares] : lost)
      most[part] = std::max(most[part], std::sqrt(squares / all.at(part)));
  }
  return most;
}

// A few hundred roundings of 6e-8, some behind sums that cancel.
void f32(const tiny::Case& c, Verdict& verdict) {
  if (cannot_train(c, verdict)) return;
  for (const auto& [part, lost] : relative_losses(c))
    verdict.expect(lost < 1e-4, part == "loss" ? "the loss" : "the gradient of " + part, " in f32 is off by ",
                   lost, " of its size in f64, wanted below 1e-4");
}

// One op's error is bounded by c eps_f32 sqrt(K) ||a|| ||b|| on either device (contracts: tolerances), and
// the network carries both devices' errors on in the same way. So what the CPU's f32 loses against f64 is a
// sample of what an equally good implementation loses; c = 4 times that is the bound. The sample of a
// parameter of few elements may be small by chance: at least the relative loss of its part of the model is
// allowed, of the map's gradient where a bias's is a sum that cancels (behind a softmax).
void emulated_step(const tiny::Case& c, Verdict& verdict) {
  if (no_emulator(verdict) || cannot_train(c, verdict)) return;
  const Stepped exact(c, DType::f64, kCpu), cpu(c, DType::f32, kCpu), emulated(c, DType::f32, kEmulator);
  const auto relative = relative_losses(c);
  const double loss = exact.report.loss, off = std::fabs(emulated.report.loss - loss);
  verdict.expect(off <= 4 * (relative.at("loss") + 6e-8) * loss, "the loss is ", emulated.report.loss,
                 ", in f64 ", loss);
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    const double sample = norm_of_difference(cpu.gradients[i], exact.gradients[i]);
    const double bound = 4 * std::max(sample, relative.at(exact.part(i)) * norm_of_map(exact, i));
    const double found = norm_of_difference(emulated.gradients[i], exact.gradients[i]);
    verdict.expect(found <= bound, exact.ranges[i].path, ": the gradient, of norm ", norm(exact.gradients[i]),
                   ", is off by ", found, ", wanted at most ", bound);
  }
}

// What the last product alone may lose on any device: eps_f32 sqrt(K) ||hidden|| ||head||.
double lost_by_the_head(const FusedModel& model, const Tensor& hidden) {
  const auto all = parameters_of(const_cast<Llama&>(model.llama()));
  const auto head = std::ranges::find(all, "lm_head.weight", &NamedParameter::path);
  return 6e-8 * std::sqrt(double(hidden.size(1))) * norm(hidden) * norm(head->parameter->value());
}

// The texts of the batch with one more token each: the logits behind it, at once or through a cache, and what
// the head may lose.
std::pair<Tensor, double> logits_of(const tiny::Case& c, DType dtype, Device device, bool cached,
                                    int32_t added = 0) {
  FusedModel model = tiny::make(c, dtype);
  moved(model, device);
  const NoGrad no_grad;
  tiny::Input in = tiny::input(dtype);
  const Vision vision = tiny::see(model, in);
  const std::vector<int32_t> next{4 + added, 9 + added, 2 + added};
  if (cached) {
    Decoder decoder(model.llama(), vision, in.batch(), 2);
    decoder.advance(next);
    return {decoder.logits().to(kCpu), 0};
  }
  for (size_t s = 0; s < next.size(); ++s) in.tokens[s].push_back(next[s]);
  const TextBatch batch = in.batch();
  std::vector<int32_t> last;
  for (int64_t s = 0; s < batch.samples(); ++s)
    last.push_back(batch.sample_offsets.data<int32_t>()[s + 1] - 1);
  const Variable hidden = model.hidden(model.plan(batch, tensor_of(last)), vision, {});
  return {model.llama().logits(hidden).value().to(kCpu), lost_by_the_head(model, hidden.value())};
}

void emulated_decoding(const tiny::Case& c, Verdict& verdict) {
  if (no_emulator(verdict)) return;
  const auto [exact, lost] = logits_of(c, DType::f64, kCpu, false);
  double sample = 0;  // the most of a few texts, because one may lose little by chance
  for (int32_t added : {0, 1, 2, 3}) {
    const Tensor same = logits_of(c, DType::f64, kCpu, false, added).first;
    const double lost_here = norm_of_difference(logits_of(c, DType::f32, kCpu, false, added).first, same);
    sample = std::max(sample, lost_here / norm(same) * norm(exact));
  }
  const double bound = 4 * std::max(sample, lost);
  verdict.expect(bound < 1e-4 * norm(exact), "f32 on the CPU is off by ", sample, " of ", norm(exact));
  for (bool cached : {false, true}) {
    const double found = norm_of_difference(logits_of(c, DType::f32, kEmulator, cached).first, exact);
    verdict.expect(found <= bound, cached ? "with" : "without", " a cache the logits are off by ", found,
                   ", wanted at most ", bound);
  }
}

}  // namespace

Stepped::Stepped(const tiny::Case& c, DType dtype, Device device, uint64_t dropout_seed)
    : model(tiny::make(c, dtype, 0.2)), task(moved(model, device), tiny::input(dtype), dropout_seed) {
  Trainer trainer(task, {.steps = 1, .schedule = {.peak = 1e-2, .steps = 1}, .clip = 0});
  const FlatParameters& flat = trainer.parameters();
  before = flat.buffers().value.clone();
  report = trainer.step();
  buffers = flat.buffers();
  ranges = flat.ranges();
  for (const auto& range : ranges) gradients.push_back(flat.view(buffers.gradient, range));
}

std::vector<Check> device_checks() {
  return {{"f32", "gradients in f32 are those in f64, rounded", f32, true},
          {"emulated_step", "a training step on the emulated GPU is that of the CPU", emulated_step, true},
          {"emulated_decoding", "decoding on the emulated GPU is the full forward pass", emulated_decoding,
           true}};
}

}  // namespace dehvf::contract
