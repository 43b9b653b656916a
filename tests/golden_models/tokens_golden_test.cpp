// Operators that put visual tokens into the sequence, forward and backward in the whole model, against plain
// PyTorch in f64 (tests/golden/make_tokens.py).
#include "golden_models/fused_fixture.h"
#include "models/dump.h"

namespace dehvf {
namespace {

struct TokensCase {
  std::string file, fusion;
  std::map<std::string, std::string> options;
  friend std::ostream& operator<<(std::ostream& out, const TokensCase& c) { return out << c.file; }
};

class TokensGolden : public testing::TestWithParam<TokensCase> {
 protected:
  FusedFixture fixture(DType dtype) const {
    return {"tokens/" + GetParam().file, GetParam().fusion, GetParam().options, dtype};
  }
};
INSTANTIATE_TEST_SUITE_P(
    Operators, TokensGolden,
    testing::Values(
        TokensCase{"llava_linear", "llava", {{"projector", "linear"}}}, TokensCase{"llava_mlp", "llava", {}},
        TokensCase{"qformer",
                   "qformer",
                   {{"queries", "3"}, {"width", "8"}, {"heads", "2"}, {"blocks", "3"}, {"hidden", "14"}}}));

void check_tokens(const FusedFixture& f, double bound) {
  const NoGrad no_grad;
  const Vision vision = f.model.see(f.model.look(f.pixels));
  EXPECT_LT(relative_error(vision.fusion->tokens(vision.state).value(), f.expected.at("visual")), bound);
  const Variable hidden = f.model.hidden(f.model.plan(f.batch), vision, {});
  const Tensor text_rows = vision.fusion->insert(f.batch)->text_rows;
  EXPECT_LT(
      relative_error(f.model.llama().logits(gather_rows(hidden, text_rows)).value(), f.expected.at("logits")),
      bound);
}

TEST_P(TokensGolden, StatesInDouble) { check_tokens(fixture(DType::f64), 1e-11); }

TEST_P(TokensGolden, GradientsInDouble) {
  for (SegmentMode mode : {SegmentMode::keep, SegmentMode::recompute}) {
    FusedFixture f = fixture(DType::f64);
    check_gradients(f, mode, 1e-9, DType::f64);
  }
}

TEST_P(TokensGolden, Dumped) {
  FusedFixture f = fixture(DType::f64);
  const DumpInput input{.tokens = cut(integers<int32_t>(f.expected.at("token_ids")), f.batch.lengths),
                        .labels = cut(integers<int32_t>(f.expected.at("labels")), f.batch.lengths),
                        .image_of = integers<int32_t>(f.expected.at("image_of")),
                        .pixels = f.pixels};
  std::map<std::string, Tensor> found;
  for (auto& [name, tensor] : dump(f.model, input, true)) found[name] = tensor;
  EXPECT_NEAR(item(found.at("loss")), item(f.expected.at("loss")), 1e-9);
  EXPECT_LT(relative_error(gather_rows(found.at("logits"), found.at("text_rows")), f.expected.at("logits")),
            1e-11);
  EXPECT_LT(relative_error(found.at("grad.embeddings"), f.expected.at("grad.embeddings"), 1e-6), 1e-9);
}

TEST_P(TokensGolden, InFloat) {
  FusedFixture f = fixture(DType::f32);
  check_tokens(f, 2e-5);
  check_gradients(f, SegmentMode::keep, 2e-4, DType::f32);
}

}  // namespace
}  // namespace dehvf
