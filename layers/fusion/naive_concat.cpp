// The rows of memvp or dehvf the naive way, for measured memory and time: for every sample the frozen gate
// and down matrices are copied with its rows behind them, and the FFN runs on the copies. Backward forms the
// gradient of the whole copies.
#include "autograd/ops/dropout.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/rows.h"
#include "layers/fusion/operator.h"

namespace dehvf {
namespace {

// [rows, columns] -> [columns, rows], as rows of one element each.
Variable transposed(const Variable& x) {
  const int64_t rows = x.shape()[0], columns = x.shape()[1];
  std::vector<int32_t> index;
  index.reserve(size_t(x.shape().count()));
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r) index.push_back(int32_t(r * columns + c));
  return reshape(gather_rows(reshape(x, {rows * columns, 1}), tensor_of(index, x.device())), {columns, rows});
}

Variable padded(const Variable& x, int axis, int64_t size) {
  const int64_t missing = size - x.shape()[axis];
  if (missing == 0) return x;
  const Variable parts[] = {x, Variable(zeros(x.shape().with(axis, missing), x.dtype(), x.device()))};
  return axis == 0 ? concat_rows(parts) : concat_columns(parts);
}

class NaiveConcat : public FusionOperator {
 public:
  NaiveConcat(const FusionShapes& shapes, FusionConfig& config) : shapes_(shapes) {
    static const std::string kRows[] = {"memvp", "dehvf"};
    config.fix("rows", "factored");  // of which both [n, width] and [width, n] are one product
    rows_of_ = Registry<Fusion>::instance().find(config.choice("of", "memvp", kRows))(shapes, config);
    slots_ = std::stoll(config.resolved().at("slots"));
    rank_ = std::stoll(config.resolved().at("rank"));
  }

  void describe(Describer& describer) override { rows_of_->describe(describer); }
  TowerNeeds tower() const override { return rows_of_->tower(); }
  Neutral neutral() const override { return rows_of_->neutral(); }
  std::vector<std::string> notes() const override { return rows_of_->notes(); }
  bool replays() const override { return false; }  // the copies follow the samples' lengths

  CostReport cost() const override {
    CostReport cost = rows_of_->cost();
    const double layers = shapes_.llm_layers, width = double(shapes_.llm_width);
    cost.flops_per_image += 4 * layers * double(shapes_.patches * (rank_ + 1)) * width;
    cost.flops_per_token = 4 * layers * double(slots_) * width;
    return cost;
  }

  // What the rows' operator keeps, and at the end the slots' values in columns.
  ImageState encode(const TowerLevels& tower) const override {
    ImageState state = rows_of_->encode(tower);
    state.values.push_back(transposed(rows_of_->ffn_rows(state, {})->slot_values));
    return state;
  }

  Variable instead_of_ffn(const Variable& u, const FfnWeights& ffn, const ImageState& state,
                          const BlockContext& context) const override {
    ImageState rest = state;
    rest.values.pop_back();
    const VisualRows rows = *rows_of_->ffn_rows(rest, context);
    const Tensor image_of = rows.plan.image_of.to(kCpu);
    // The rows have no gate: a factor of 1, or what dropout makes of it.
    const Tensor gates = dropout(full({u.shape()[0], slots_}, 1, u.dtype(), u.device()),
                                 rows.plan.sample_offsets, rows.plan.dropout);
    std::vector<Variable> outputs;
    int64_t at = 0;
    for (size_t s = 0; s < context.rows.lengths.size(); ++s) {
      const int64_t end = at + context.rows.lengths[s];
      if (at == end) continue;
      const auto [gate, down] = copies(ffn, rows, state.values.back(), image_of.data<int32_t>()[s]);
      const Variable own = slice_rows(u, at, end);
      const Variable factors[] = {linear(own, ffn.up), Variable(gates.slice(at, end))};
      outputs.push_back(linear(swiglu(linear(own, gate), concat_columns(factors)), down));
      at = end;
    }
    return outputs.empty() ? Variable() : concat_rows(outputs);
  }

 private:
  struct Copies {
    Variable gate, down;  // [ffn + slots, width], [width, ffn + slots]
  };

  static Copies copies(const FfnWeights& ffn, const VisualRows& rows, const Variable& slot_columns,
                       int64_t image) {
    Variable keys = rows.slot_keys, values = slot_columns;
    if (image >= 0) {
      const int64_t patches = rows.image_keys.shape()[1], slots = keys.shape()[0];
      const Variable ones(full({patches, 1}, 1, rows.image_keys.dtype(), keys.device()));
      const auto with_one = [&](const Variable& z) {
        const Variable flat = reshape(z, {z.shape()[0] * patches, z.shape()[2]});
        const Variable parts[] = {slice_rows(flat, image * patches, (image + 1) * patches), ones};
        return concat_columns(parts);
      };
      const Variable column = reshape(rows.bias, {rows.bias.shape()[0], 1}), parts[] = {rows.basis, column};
      const Variable basis = concat_columns(parts);
      const auto image_term = [&](const Variable& term, int axis) {
        return scale(padded(term, axis, slots), rows.plan.lambda);
      };
      keys = add(keys, image_term(matmul(with_one(rows.image_keys), basis, true), 0));
      values = add(values, image_term(matmul(basis, with_one(rows.image_values), true), 1));
    }
    const Variable gate[] = {ffn.gate, cast(keys, ffn.gate.dtype())},
                   down[] = {ffn.down, cast(scale(values, rows.plan.scale), ffn.down.dtype())};
    return {concat_rows(gate), concat_columns(down)};
  }

  FusionShapes shapes_;
  std::unique_ptr<FusionOperator> rows_of_;
  int64_t slots_ = 0, rank_ = 0;
};

const Provide<Fusion> naive_concat{
    "naive_concat", [](const FusionShapes& shapes, FusionConfig& config) -> std::unique_ptr<FusionOperator> {
      return std::make_unique<NaiveConcat>(shapes, config);
    }};

}  // namespace
}  // namespace dehvf
