// AdamW over flat buffers against the loop of the paper.
#include <algorithm>
#include <cmath>

#include "core/ops/optimizer.h"
#include "op_cases.h"

namespace dehvf {
namespace {

constexpr int64_t kCount = 617, kDecayed = 401;
const AdamWOptions kOptions{.weight_decay = 0.1};
constexpr double kRate = 0.03, kClipTo = 0.25;
constexpr int kStep = 3;

enum class Result : uint8_t { value, moment1, moment2 };

// Inputs: value, gradient, first moment, second moment.
Variable updated(std::span<const Variable> in, Result wanted) {
  const AdamWBuffers buffers{in[0].value().clone(),      in[1].value(),
                             in[2].value().clone(),      in[3].value().clone(),
                             zeros({kCount}, DType::u8), {}};
  std::fill_n(buffers.decay.data<uint8_t>(), kDecayed, uint8_t(1));
  const Tensor state = step_state(kCpu);
  write_step({.updates = kStep - 1, .learning_rate = kRate}, state);
  finish_gradients(buffers.gradient, kOptions, kClipTo, state);
  adamw(buffers, kOptions, state);
  return wanted == Result::value     ? buffers.value
         : wanted == Result::moment1 ? buffers.first_moment
                                     : buffers.second_moment;
}

void by_the_paper(const Doubles& in, std::span<double> out, Result wanted) {
  double norm = 0;
  for (double g : in[1]) norm += g * g;
  norm = std::sqrt(norm);
  for (size_t i = 0; i < out.size(); ++i) {
    const double g = in[1][i] / norm * kClipTo;
    const double m = kOptions.beta1 * in[2][i] + (1 - kOptions.beta1) * g;
    const double v = kOptions.beta2 * in[3][i] + (1 - kOptions.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(kOptions.beta1, kStep));
    const double v_hat = v / (1 - std::pow(kOptions.beta2, kStep));
    const double decay = int64_t(i) < kDecayed ? kOptions.weight_decay : 0;
    const double value =
        in[0][i] - kRate * (m_hat / (std::sqrt(v_hat) + kOptions.epsilon) + decay * in[0][i]);
    out[i] = wanted == Result::value ? value : wanted == Result::moment1 ? m : v;
  }
}

OpCase adamw_case(const std::string& name, Result wanted) {
  const auto input = [](const std::string& what, double low, double high) {
    return OpInput{.name = what, .shape = {kCount}, .low = low, .high = high, .wants_grad = false};
  };
  return {.name = "adamw_" + name,
          .inputs = {input("value", -1, 1), input("gradient", -1, 1), input("moment1", -1, 1),
                     input("moment2", 0.01, 1)},
          .op = [=](std::span<const Variable> in) { return updated(in, wanted); },
          .reference = plain(
              {kCount}, [=](const Doubles& in, std::span<double> out) { by_the_paper(in, out, wanted); }),
          .additions = 4,
          .low_precision = false};
}

// What add_loss and squared_norm gather: the first element and the sum of all squares.
Variable gathered(std::span<const Variable> in) {
  const Tensor x = in[0].value(), state = step_state(kCpu);
  add_loss(x.slice(0, 1), state);
  return full({}, read_step(state).loss + squared_norm(x), x.dtype());
}

OpCase gathered_case() {
  return {.name = "loss_and_norm",
          .inputs = {{.name = "x", .shape = {kCount}, .wants_grad = false}},
          .op = gathered,
          .reference = plain({},
                             [](const Doubles& in, std::span<double> out) {
                               out[0] = in[0][0];
                               for (double x : in[0]) out[0] += x * x;
                             }),
          .additions = kCount,
          .low_precision = false};
}

const AddCase loss_and_norm(gathered_case());
const AddCase adamw_value(adamw_case("value", Result::value));
const AddCase adamw_moment1(adamw_case("moment1", Result::moment1));
const AddCase adamw_moment2(adamw_case("moment2", Result::moment2));

}  // namespace
}  // namespace dehvf
