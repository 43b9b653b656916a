// LLaMA against transformers: every folder of tests/golden/llama in f64, f32 and bf16, alone and packed.
#include <gtest/gtest.h>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "golden_models/fixture.h"
#include "models/llama.h"

namespace dehvf {
namespace {

struct Outputs {
  Tensor logits;               // [tokens, vocab]
  std::vector<Tensor> hidden;  // of every block
};

struct Folder {
  Folder(const std::string& name, DType dtype, bool trainable = false)
      : expected(load_safetensors(golden(concat("llama/", name, "_expected.safetensors")))),
        config(read_llama_config(golden("llama/" + name), notes)),
        model(config) {
    load_from(model, load_safetensors(golden("llama/" + name + "/model.safetensors")), dtype, trainable);
    for (int i = 0; i < 2; ++i) prompts.push_back(integers<int32_t>(expected.at(concat("token_ids.", i))));
  }

  Outputs run(std::span<const std::vector<int32_t>> samples) const {
    const TextBatch batch = pack(samples);
    std::vector<Variable> hidden;
    const Variable last = model.forward(batch, model.embed(batch.tokens), {}, {.hidden = &hidden});
    Outputs result{.logits = model.logits(last).value(), .hidden = {}};
    for (const Variable& h : hidden) result.hidden.push_back(h.value());
    return result;
  }

  Tensors expected;
  std::vector<std::string> notes;
  LlamaConfig config;
  Llama model;
  std::vector<std::vector<int32_t>> prompts;
};

// Rounding adds up over the products that lie behind one another: four a layer and the head, each within the
// bound of one op.
double float_bound(const LlamaConfig& config) {
  return 4 * 0x1p-24 * std::sqrt(double(config.width)) * (4 * config.layers + 1);
}

void compare(const Folder& folder, const Outputs& run, size_t prompt, int64_t begin, double bound) {
  const auto count = int64_t(folder.prompts[prompt].size());
  const Tensor logits = folder.expected.at(concat("logits.", prompt));
  EXPECT_LT(relative_error(rows_of(run.logits, begin, count), logits), bound);
  const Tensor hidden = folder.expected.at(concat("hidden.", prompt));
  ASSERT_EQ(run.hidden.size(), size_t(hidden.size(0)));
  for (size_t l = 0; l < run.hidden.size(); ++l)
    EXPECT_LT(relative_error(rows_of(run.hidden[l], begin, count), hidden[int64_t(l)]), bound)
        << "block " << l;
}

void compare_all(const Folder& folder, double bound) {
  const auto& prompts = folder.prompts;
  for (size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE(concat("prompt ", i));
    compare(folder, folder.run(std::span(prompts).subspan(i, 1)), i, 0, bound);
  }
  const Outputs packed = folder.run(prompts);
  int64_t begin = 0;
  for (size_t i = 0; i < prompts.size(); begin += int64_t(prompts[i].size()), ++i) {
    SCOPED_TRACE(concat("packed, prompt ", i));
    compare(folder, packed, i, begin, bound);
  }
}

class LlamaGolden : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Folders, LlamaGolden,
                         testing::Values("mha_f32", "gqa_f32", "tied_f32", "llama3_rope_f32",
                                         "linear_rope_f32", "bf16"));

TEST_P(LlamaGolden, Double) { compare_all(Folder(GetParam(), DType::f64), 1e-10); }

TEST_P(LlamaGolden, Float) {
  const Folder folder(GetParam(), DType::f32);
  compare_all(folder, float_bound(folder.config));
}

// Largest and root mean square difference.
std::pair<double, double> errors(const Tensor& got, const Tensor& want) {
  const Tensor a = cast(got, DType::f64), b = cast(want, DType::f64);
  EXPECT_EQ(a.count(), b.count());
  double largest = 0, squares = 0;
  for (int64_t i = 0; i < b.count(); ++i) {
    const double difference = std::fabs(a.data<double>()[i] - b.data<double>()[i]);
    EXPECT_FALSE(std::isnan(difference));
    largest = std::max(largest, difference);
    squares += difference * difference;
  }
  return {largest, std::sqrt(squares / double(b.count()))};
}

TEST(LlamaGoldenBf16, ErrorIsThatOfTheLibraryAtMost) {
  const Folder folder("bf16", DType::bf16);
  const auto no_worse = [&](const Tensor& got, const Tensor& library, const Tensor& exact,
                            const std::string& what) {
    const auto [largest, rms] = errors(got, exact);
    const auto [library_largest, library_rms] = errors(library, exact);
    EXPECT_LE(largest, 1.5 * library_largest) << what;
    EXPECT_LE(rms, 1.5 * library_rms) << what;
    EXPECT_GT(rms, 0) << what;  // bf16 was really used
  };
  for (size_t i = 0; i < folder.prompts.size(); ++i) {
    const Outputs run = folder.run(std::span(folder.prompts).subspan(i, 1));
    no_worse(run.logits, folder.expected.at(concat("logits_bf16.", i)),
             folder.expected.at(concat("logits.", i)), concat("logits of prompt ", i));
    for (int64_t l = 0; l < folder.config.layers; ++l)
      no_worse(run.hidden[size_t(l)], folder.expected.at(concat("hidden_bf16.", i))[l],
               folder.expected.at(concat("hidden.", i))[l], concat("block ", l, " of prompt ", i));
  }
}

class LlamaGradients : public testing::TestWithParam<SegmentMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, LlamaGradients, testing::Values(SegmentMode::keep, SegmentMode::recompute));

TEST_P(LlamaGradients, OfEmbeddingsAndWeights) {
  const Folder folder("mha_f32", DType::f64, /*trainable=*/true);
  const std::span prompt = std::span(folder.prompts).first(1);
  const TextBatch batch = pack(prompt);
  const Supervised next = supervised(batch, prompt);
  const Variable x = Variable::parameter(folder.model.embed(batch.tokens).value(), "embeddings");
  const Variable hidden =
      folder.model.forward(plan_text(batch, next.rows, nullptr), x, {}, {.mode = GetParam()});
  const Variable loss =
      scale(sum_all(folder.model.losses(hidden, next.targets)), 1.0 / double(next.targets.count()));
  EXPECT_NEAR(item(loss.value()), item(folder.expected.at("loss.0")), 1e-10);
  backward(loss);
  EXPECT_LT(relative_error(x.grad(), folder.expected.at("grad.embeddings.0"), 1e-9), 1e-10);
  int checked = 0;
  for (const auto& [path, parameter] : parameters_of(const_cast<Llama&>(folder.model)))
    if (const auto want = folder.expected.find("grad." + path); want != folder.expected.end()) {
      EXPECT_LT(relative_error(parameter->variable().grad(), want->second, 1e-9), 1e-10) << path;
      ++checked;
    }
  EXPECT_EQ(checked, 2);
}

}  // namespace
}  // namespace dehvf
