// naive_concat is the operator whose rows it writes out, and pays for it in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend.h"
#include "core/error.h"
#include "support/golden.h"
#include "train/contract/tiny.h"

namespace dehvf {
namespace {

const ForwardOptions kTraining{.training = true, .seed = 3, .step = 5};

class NaiveConcatOf : public testing::TestWithParam<std::string> {
 protected:
  // The same parameters: they depend on their paths.
  static FusedModel make(bool naive) {
    for (const tiny::Case& c : tiny::all_cases()) {
      const auto of = c.options.find("of");
      const bool same =
          naive ? c.fusion == "naive_concat" && (of == c.options.end() ? "memvp" : of->second) == GetParam()
                : c.fusion == GetParam();
      if (same) return tiny::make(c, DType::f64, 0.3);
    }
    throw Error("no such case");
  }
};
INSTANTIATE_TEST_SUITE_P(Of, NaiveConcatOf, testing::Values("memvp", "dehvf"));

TEST_P(NaiveConcatOf, HasTheValuesAndGradientsOfTheFactoredRows) {
  FusedModel naive = make(true), factored = make(false);
  tiny::Input in = tiny::input(DType::f64);
  in.image_of = {1, -1, 1};
  for (const ForwardOptions& options : {ForwardOptions{}, kTraining}) {
    EXPECT_LT(relative_error(tiny::logits(naive, in, options), tiny::logits(factored, in, options)), 1e-12);
    const auto got = tiny::gradients(naive, in, options), wanted = tiny::gradients(factored, in, options);
    ASSERT_EQ(got.size(), wanted.size());
    for (const auto& [path, gradient] : wanted)
      EXPECT_LT(relative_error(got.at(path), gradient), 1e-11) << path;
  }
}

TEST_P(NaiveConcatOf, CopiesTheFrozenMatricesForEverySample) {
  const auto held = [&](bool naive) {
    const FusedModel model = make(naive);
    const size_t before = backend(kCpu).bytes_in_use();
    const Variable loss = tiny::mean_loss(model, tiny::input(DType::f64), kTraining);
    return backend(kCpu).bytes_in_use() - before;
  };
  const LlamaConfig c = tiny::llama();
  const size_t copies = 2 * size_t(c.layers) * 3 * size_t(c.ffn * c.width) * sizeof(double);  // of 3 samples
  EXPECT_GT(held(true), held(false) + copies);
}

TEST(NaiveConcat, RefusesWhatIsTrainedBesideTheMatricesItCopies) {
  tiny::Case c{.fusion = "naive_concat"};
  c.tuning.lora = {.rank = 2, .targets = {"up"}};
  const FusedModel model = tiny::make(c, DType::f64);
  EXPECT_THAT([&] { tiny::logits(model, tiny::input(DType::f64)); },
              testing::ThrowsMessage<ConfigError>(testing::HasSubstr("leave gate, up and down out")));
}

}  // namespace
}  // namespace dehvf
