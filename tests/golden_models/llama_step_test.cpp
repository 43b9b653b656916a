// The losses of a LLaMA in bf16 and f16 and their gradient at the embeddings, on the CPU and on the emulated
// device, against f64 beside transformers' own runs (tests/golden/make_llama_step.py).
#include <tuple>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "golden_models/fixture.h"
#include "models/llama.h"

namespace dehvf {
namespace {

constexpr Device kEmulator{DeviceKind::emulator, 0};

struct Step {
  Tensor losses, gradient;
};

Step step_of(const Tensors& expected, DType dtype, Device device) {
  std::vector<std::string> notes;
  Llama model(read_llama_config(golden("llama/bf16"), notes));
  load_from(model, load_safetensors(golden("llama/bf16/model.safetensors")), dtype, false);
  model.move_to(device);
  const std::vector<std::vector<int32_t>> prompt{integers<int32_t>(expected.at("token_ids"))};
  const TextBatch batch = pack(prompt);
  const Supervised next = supervised(batch, prompt);
  const Variable x = Variable::parameter(model.embed(batch.tokens).value(), "embeddings");
  const Variable losses =
      model.losses(model.forward(plan_text(batch, next.rows, nullptr), x, {}, {}), next.targets);
  backward(scale(sum_all(losses), 1.0 / double(next.targets.count())));
  return {losses.value().to(kCpu), x.grad().to(kCpu)};
}

// Largest and root mean square difference.
std::pair<double, double> errors(const Tensor& got, const Tensor& want) {
  const Tensor a = cast(got, DType::f64), b = cast(want, DType::f64);
  EXPECT_EQ(a.shape(), b.shape());
  double largest = 0, squares = 0;
  for (int64_t i = 0; i < b.count(); ++i) {
    const double difference = std::fabs(a.data<double>()[i] - b.data<double>()[i]);
    EXPECT_FALSE(std::isnan(difference));
    largest = std::max(largest, difference);
    squares += difference * difference;
  }
  return {largest, std::sqrt(squares / double(b.count()))};
}

class LlamaStep : public testing::TestWithParam<std::tuple<DType, Device>> {};
INSTANTIATE_TEST_SUITE_P(Places, LlamaStep,
                         testing::Combine(testing::Values(DType::bf16, DType::f16),
                                          testing::Values(kCpu, kEmulator)),
                         [](const auto& info) {
                           return concat(std::get<0>(info.param), '_', std::get<1>(info.param).kind);
                         });

// Contracts, tolerances: a whole network may lose 1.5 times what the library's run in this dtype loses.
TEST_P(LlamaStep, LosesWhatTheLibraryLosesAtMost) {
  const auto [dtype, device] = GetParam();
  const Tensors expected = load_safetensors(golden("llama/step_expected.safetensors"));
  const Step found = step_of(expected, dtype, device);
  const auto no_worse = [&](const Tensor& got, const std::string& what) {
    const Tensor& exact = expected.at(what);
    const auto [largest, rms] = errors(got, exact);
    const auto [library_largest, library_rms] = errors(expected.at(concat(what, '_', dtype)), exact);
    EXPECT_LE(largest, 1.5 * library_largest) << what;
    EXPECT_LE(rms, 1.5 * library_rms) << what;
    EXPECT_GT(rms, 0.1 * library_rms) << what << " is not computed in " << dtype;
  };
  no_worse(found.losses, "losses");
  no_worse(found.gradient, "grad");
}

}  // namespace
}  // namespace dehvf
