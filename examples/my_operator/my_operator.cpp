// A gated visual bias. The image becomes `rank` numbers: its patches, projected and averaged. In every block
// each token asks for some of them by gates that it computes from itself, and what it asked for is turned
// into a vector that is added to the FFN's output:
//
//   s = mean over patches of SiLU(level W_down^T)     [images, rank]          once an image
//   g = SiLU(u W_ask^T)                               [tokens, rank]          in every block
//   FFN(u) + (g * s[image of the token]) W_up[l]^T    [tokens, llm width]     in every block, W_up[l] its own
//
// W_up begins at zero, so that training begins at the language model as it was. docs/your_operator.md goes
// through this file.
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"
#include "cli/program.h"
#include "layers/fusion/operator.h"
#include "layers/linear.h"

namespace {

using namespace dehvf;

class MyOperator : public FusionOperator {
 public:
  MyOperator(const FusionShapes& shapes, FusionConfig& config)
      : shapes_(shapes),
        level_(int(config.integer("level", shapes.tower_layers, 1, shapes.tower_layers))),
        rank_(config.integer("rank", 32, 1, 65536)),
        down_(shapes.tower_width, rank_),
        ask_(shapes.llm_width, rank_) {
    for (int layer = 0; layer < shapes.llm_layers; ++layer)
      up_.push_back(std::make_unique<Linear>(rank_, shapes.llm_width, Bias::none, Initial{}));
  }

  // The paths of the parameters: down.weight, down.bias, ..., up.0.weight, ...
  void describe(Describer& describer) override {
    describer.child("down", down_);
    describer.child("ask", ask_);
    for (size_t layer = 0; layer < up_.size(); ++layer) describer.child(concat("up.", layer), *up_[layer]);
  }

  TowerNeeds tower() const override { return {.levels = {level_}}; }

  // Once for every batch of images. What depends on images goes through ImageState.
  ImageState encode(const TowerLevels& tower) const override {
    if (tower.images == 0) return {};
    const Variable& level = tower.after_block.at(level_);  // [images, class token + patches, tower width]
    const Variable low = down_(level, Activation::silu);   // [images, class token + patches, rank]
    // The mean is a product with a constant row, which leaves the class token out.
    const int64_t tokens = level.shape()[1], first = tower.class_token ? 1 : 0;
    std::vector<double> mean(size_t(tower.images * tokens), 1.0 / double(tower.patches));
    if (first == 1)
      for (int64_t i = 0; i < tower.images; ++i) mean[size_t(i * tokens)] = 0;
    const Tensor row = cast(tensor_of<double>(mean, {tower.images, 1, tokens}), low.dtype());
    const Variable summary = reshape(matmul(row.to(low.device()), low), {tower.images, rank_});
    // One row of zeros in front, for the tokens of samples without an image.
    const Variable rows[] = {zeros({1, rank_}, low.dtype(), low.device()), summary};
    return {.values = {concat_rows(rows)}};
  }

  // In every block; u [tokens, llm width] is the normed input of the FFN.
  Variable beside_ffn(const Variable& u, const ImageState& state,
                      const BlockContext& context) const override {
    if (state.values.empty()) return {};
    const Variable gates = ask_(u, Activation::silu);
    const Variable seen = gather_rows(state.values[0], context.rows.image_row);
    return (*up_[size_t(context.layer)])(multiply(gates, seen));
  }

  CostReport cost() const override {
    const int64_t layers = shapes_.llm_layers, width = shapes_.llm_width;
    const int64_t live = rank_ * (shapes_.tower_width + 1) + rank_ * (width + 1) + layers * rank_ * width;
    return {.live = live,
            .published = live,
            .flops_per_image = 2.0 * double(shapes_.patches * shapes_.tower_width * rank_),
            .flops_per_token = 4.0 * double(layers * rank_ * width)};
  }

  // With W_up at zero the model is the language model alone.
  Neutral neutral() const override {
    Neutral neutral;
    for (size_t layer = 0; layer < up_.size(); ++layer) neutral.settings[concat("up.", layer, ".weight")] = 0;
    return neutral;
  }

 private:
  FusionShapes shapes_;
  int level_;
  int64_t rank_;
  Linear down_, ask_;
  std::vector<std::unique_ptr<Linear>> up_;
};

// The registration: `fusion.name=my_operator` is all that the rest of the program needs.
const Provide<Fusion> my_operator{
    "my_operator", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<MyOperator>(shapes, config);
    }};

}  // namespace

int main(int argc, char** argv) { return dehvf::cli::run_program(argc, argv); }
