// Operators inside the attention and beside the FFN, forward and backward in the whole model, against plain
// PyTorch in f64 (tests/golden/make_adapters.py).
#include "golden_models/fused_fixture.h"

namespace dehvf {
namespace {

struct AdapterCase {
  std::string file, fusion;
  std::map<std::string, std::string> options;
  TowerAdapterConfig tower = {.rank = 3, .scale = 0.1, .dropout = 0};
  friend std::ostream& operator<<(std::ostream& out, const AdapterCase& c) { return out << c.file; }
};

class AdaptersGolden : public testing::TestWithParam<AdapterCase> {
 protected:
  FusedFixture fixture(DType dtype) const {
    return {"adapters/" + GetParam().file, GetParam().fusion, GetParam().options, dtype, GetParam().tower};
  }
};
INSTANTIATE_TEST_SUITE_P(
    Operators, AdaptersGolden,
    testing::Values(
        AdapterCase{"llama_adapter", "llama_adapter", {{"prompts", "3"}, {"layers", "2"}, {"rank", "5"}}},
        AdapterCase{"llama_adapter_v2",
                    "llama_adapter",
                    {{"version", "2"}, {"prompts", "3"}, {"layers", "2"}, {"rank", "5"}}},
        AdapterCase{"lavin",
                    "lavin",
                    {{"levels", "2"}, {"rank", "5"}, {"dim", "6"}, {"temperature", "3"}, {"scale", "0.7"}},
                    {.form = TowerAdapterForm::before_attention,
                     .rank = 4,
                     .scale = 0.6,
                     .dropout = 0,
                     .temperature = 2}},
        AdapterCase{"adem_vl",
                    "adem_vl",
                    {{"pooled", "2"}, {"rank", "5"}, {"lambda", "0.05"}, {"dropped", "0.15"}}}));

void check_logits(const FusedFixture& f, double bound) {
  const NoGrad no_grad;
  const Vision vision = f.model.see(f.model.look(f.pixels));
  const Variable hidden = f.model.hidden(f.model.plan(f.batch), vision, {});
  const auto inserted = vision.fusion->insert(f.batch);
  const Variable text = inserted ? gather_rows(hidden, inserted->text_rows) : hidden;
  EXPECT_LT(relative_error(f.model.llama().logits(text).value(), f.expected.at("logits")), bound);
}

TEST_P(AdaptersGolden, LogitsInDouble) { check_logits(fixture(DType::f64), 1e-11); }

TEST_P(AdaptersGolden, GradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    FusedFixture f = fixture(DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

TEST_P(AdaptersGolden, InFloat) {
  FusedFixture f = fixture(DType::f32);
  check_logits(f, 2e-5);
  check_gradients(f, SegmentMode::keep, 2e-4, DType::f32);
}

}  // namespace
}  // namespace dehvf
