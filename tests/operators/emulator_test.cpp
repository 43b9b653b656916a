// A whole model on the emulated device: a training step (forward, backward, optimizer) and decoding, held
// against the CPU.
#include <algorithm>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "core/ops/elementwise.h"
#include "models/generate.h"
#include "operators/tiny.h"
#include "train/trainer.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

tiny::Case first_case(const std::string& fusion) {
  for (const tiny::Case& c : tiny::all_cases())
    if (c.fusion == fusion) return c;
  return {fusion, {}};
}

struct TinyTask : Task {
  TinyTask(FusedModel& model, tiny::Input in, uint64_t seed) : model(model), in(std::move(in)), seed(seed) {}
  Module& trained() override { return model; }
  int prepare(uint64_t) override { return 1; }
  Variable loss(int, std::span<const Tensor>, const Tensor& state) override {
    return tiny::mean_loss(model, in, {.training = true, .seed = seed, .step_state = state});
  }
  int64_t tokens() const override { return 0; }
  std::string cursor() const override { return ""; }
  void seek(const std::string&) override {}
  FusedModel& model;
  tiny::Input in;
  uint64_t seed;  // of dropout
};

double norm_of_difference(const Tensor& a, const Tensor& b) {
  const Tensor x = cast(a.to(kCpu), DType::f64), y = cast(b.to(kCpu), DType::f64);
  double sum = 0;
  for (int64_t i = 0; i < x.count(); ++i) sum += std::pow(x.data<double>()[i] - y.data<double>()[i], 2);
  return std::sqrt(sum);
}

double norm(const Tensor& a) { return norm_of_difference(a, zeros(a.shape(), a.dtype())); }

// A trained step of one model.
struct Stepped {
  Stepped(const tiny::Case& c, DType dtype, Device device, uint64_t seed = 3)
      : model(tiny::make(c, dtype, 0.2)), task(moved(model, device), tiny::input(dtype), seed) {
    Trainer trainer(task, {.steps = 1, .schedule = {.peak = 1e-2, .steps = 1}, .clip = 0});
    const FlatParameters& flat = trainer.parameters();
    before = flat.buffers().value.clone();
    report = trainer.step();
    buffers = flat.buffers();
    ranges = flat.ranges();
    for (const auto& range : ranges) gradients.push_back(flat.view(buffers.gradient, range));
  }
  std::string part(size_t i) const { return ranges[i].path.substr(0, ranges[i].path.find('.')); }
  static FusedModel& moved(FusedModel& model, Device device) {
    if (device != kCpu) model.move_to(device);
    return model;
  }
  FusedModel model;
  TinyTask task;
  StepReport report;
  Tensor before;
  AdamWBuffers buffers;
  std::vector<FlatParameters::Range> ranges;
  std::vector<Tensor> gradients;
};

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

class Emulated : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Operators, Emulated,
                         testing::Values("dehvf", "memvp", "llava", "qformer", "naive_concat",
                                         "llama_adapter", "lavin", "adem_vl", "my_idea"));

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

// One op's error is bounded by c eps_f32 sqrt(K) ||a|| ||b|| on either device (contracts: tolerances), and
// the network carries both devices' errors on in the same way. So what the CPU's f32 loses against f64 is a
// sample of what an equally good implementation loses; c = 4 times that is the bound. The sample of a
// parameter of few elements may be small by chance: at least the relative loss of its part of the model is
// allowed, of the map's gradient where a bias's is a sum that cancels (behind a softmax).
TEST_P(Emulated, StepEqualsTheCpu) {
  const tiny::Case c = first_case(GetParam());
  const Stepped exact(c, DType::f64, kCpu), cpu(c, DType::f32, kCpu), emulated(c, DType::f32, kEmulator);
  const auto relative = relative_losses(c);
  EXPECT_NEAR(emulated.report.loss, exact.report.loss, 4 * (relative.at("loss") + 6e-8) * exact.report.loss);
  for (const auto& [part, loss] : relative) EXPECT_LT(loss, 1e-4) << part;
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    const double sample = norm_of_difference(cpu.gradients[i], exact.gradients[i]);
    EXPECT_LE(norm_of_difference(emulated.gradients[i], exact.gradients[i]),
              4 * std::max(sample, relative.at(exact.part(i)) * norm_of_map(exact, i)))
        << exact.ranges[i].path << ", whose gradient is " << norm(exact.gradients[i]);
  }
}

// The update is that of the CPU from the same gradients: three roundings of moments and value in f32.
TEST_P(Emulated, UpdateEqualsTheCpu) {
  const Stepped emulated(first_case(GetParam()), DType::f32, kEmulator);
  const AdamWBuffers& found = emulated.buffers;
  const Shape shape = found.value.shape();
  const AdamWBuffers own{emulated.before.to(kCpu),
                         found.gradient.to(kCpu),
                         zeros(shape),
                         zeros(shape),
                         found.decay.to(kCpu),
                         {}};
  const Tensor state = step_state(kCpu);
  write_step({.learning_rate = emulated.report.learning_rate}, state);
  finish_gradients(own.gradient, {}, 0, state);
  adamw(own, {}, state);
  const Tensor value = found.value.to(kCpu);
  for (int64_t i = 0; i < shape.count(); ++i) {
    const double wanted = own.value.data<float>()[i];
    ASSERT_NEAR(value.data<float>()[i], wanted, 4 * 6e-8 * (std::fabs(wanted) + 1e-2)) << i;
  }
  EXPECT_GT(norm_of_difference(value, emulated.before), 0);
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
  if (device != kCpu) model.move_to(device);
  const NoGrad no_grad;
  tiny::Input in = tiny::input(dtype);
  const Vision vision = model.see(model.look(in.pixels));
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

TEST_P(Emulated, DecodingIsTheFullForwardPass) {
  const tiny::Case c = first_case(GetParam());
  const auto [exact, lost] = logits_of(c, DType::f64, kCpu, false);
  double sample = 0;  // the most of a few texts, because one may lose little by chance
  for (int32_t added : {0, 1, 2, 3}) {
    const Tensor same = logits_of(c, DType::f64, kCpu, false, added).first;
    const double difference = norm_of_difference(logits_of(c, DType::f32, kCpu, false, added).first, same);
    sample = std::max(sample, difference / norm(same) * norm(exact));
  }
  const double bound = 4 * std::max(sample, lost);
  EXPECT_LT(bound, 1e-4 * norm(exact));
  for (bool cached : {false, true})
    EXPECT_LE(norm_of_difference(logits_of(c, DType::f32, kEmulator, cached).first, exact), bound) << cached;
}

}  // namespace
}  // namespace dehvf
