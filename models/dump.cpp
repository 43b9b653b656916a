#include "models/dump.h"

#include <numeric>

#include "autograd/ops/cross_entropy.h"
#include "autograd/ops/elementwise.h"
#include "autograd/ops/rows.h"

namespace dehvf {
namespace {

void check_sample(const LlamaConfig& config, const DumpInput& input, size_t i, int64_t images) {
  const auto &tokens = input.tokens[i], &labels = input.labels[i];
  require<ConfigError>(!tokens.empty() && int64_t(tokens.size()) <= config.context, "sample ", i, ": ",
                       tokens.size(), " tokens, wanted 1 to ", config.context);
  require<ConfigError>(labels.size() == tokens.size(), "sample ", i, ": ", labels.size(), " labels for ",
                       tokens.size(), " tokens");
  for (size_t p = 0; p < tokens.size(); ++p) {
    require<ConfigError>(0 <= tokens[p] && tokens[p] < config.vocab, "sample ", i, ": token ", tokens[p],
                         " at ", p, ", the vocabulary has ", config.vocab);
    require<ConfigError>(labels[p] == kIgnored || (0 <= labels[p] && labels[p] < config.vocab), "sample ", i,
                         ": label ", labels[p], " at ", p, ", wanted ", kIgnored, " or 0 to ",
                         config.vocab - 1);
  }
  require<ConfigError>(-1 <= input.image_of[i] && input.image_of[i] < images, "sample ", i, ": image ",
                       input.image_of[i], ", there are ", images);
}

void check(FusedModel& model, const DumpInput& input) {
  const size_t samples = input.tokens.size();
  require<ConfigError>(samples > 0, "dump: no samples");
  require(input.labels.size() == samples && input.image_of.size() == samples, "dump: ", samples, " samples, ",
          input.labels.size(), " lists of labels, ", input.image_of.size(), " images");
  const int64_t images = input.pixels.defined() ? input.pixels.size(0) : 0;
  require<ConfigError>(images % model.images() == 0, "pixels: ", images, " images, wanted a multiple of ",
                       model.images(), ", fusion.images");
  for (size_t i = 0; i < samples; ++i)
    check_sample(model.llama().config(), input, i, images / model.images());
  if (!input.pixels.defined()) return;
  const int64_t side = model.tower().config().image;
  require<ConfigError>(input.pixels.shape() == Shape{images, 3, side, side} && images > 0, "pixels: shape ",
                       input.pixels.shape(), ", wanted [images, 3, ", side, ", ", side, "]");
}

TowerLevels all_levels(FusedModel& model, const Tensor& pixels, DType dtype) {
  if (!pixels.defined()) return {};
  std::vector<int> levels(size_t(model.tower().config().layers));
  std::iota(levels.begin(), levels.end(), 1);
  return model.tower()(cast(pixels, dtype), levels, model.adapters());
}

// The text's rows in a sequence that the operator put visual tokens into.
class Dump {
 public:
  Dump(FusedModel& model, const DumpInput& input) : model_(model) {
    batch_ = pack(input.tokens, input.image_of);
    labelled_ = supervised(batch_, input.labels);
    std::vector<int32_t> labels;
    for (const auto& sample : input.labels) labels.insert(labels.end(), sample.begin(), sample.end());
    add("tokens", batch_.tokens);
    add("labels", tensor_of(labels));
    add("lengths", tensor_of(batch_.lengths));
    add("image_of", batch_.image_of);
    if (input.pixels.defined()) add("pixels", input.pixels);
  }

  void forward(const Tensor& pixels) {
    const Tensor embedded = model_.llama().embed(batch_.tokens).value();
    embeddings_ = recording() ? Variable::parameter(embedded, "embeddings") : Variable(embedded);
    add("embeddings", embedded);
    const TowerLevels levels = all_levels(model_, pixels, embedded.dtype());
    for (const auto& [level, value] : levels.after_block) add(concat("levels.", level), value.value());
    vision_ = model_.see(levels);
    if (vision_.state.fuser_weights.defined()) add("fuser_weights", vision_.state.fuser_weights.value());

    const TextPlan plan = model_.plan(batch_);
    if (plan.source.defined()) add("text_rows", model_.fusion().insert(batch_)->text_rows);
    std::vector<Variable> hidden;
    const Variable last = model_.llama().forward(plan, embeddings_, vision_, {.hidden = &hidden});
    for (size_t l = 0; l < hidden.size(); ++l) add(concat("hidden.", l), hidden[l].value());
    add("final", last.value());
    add("logits", model_.llama().logits(last.detached()).value());
    if (labelled_.targets.count() == 0) return;
    const Tensor rows = model_.plan(batch_, labelled_.rows).rows;
    const Variable losses = model_.llama().losses(gather_rows(last, rows), labelled_.targets);
    loss_ = scale(sum_all(losses), 1.0 / double(labelled_.targets.count()));
    add("losses", losses.value());
    add("loss", loss_.value());
  }

  void backward_pass() {
    require<ConfigError>(loss_.defined(), "gradients: no token is labelled, so there is no loss");
    backward(loss_);
    add("grad.embeddings", embeddings_.grad());
    for (const auto& [path, parameter] : parameters_of(model_)) {
      require<ConfigError>(parameter->trainable(), "gradients: they are formed in f32 and f64 only");
      const Tensor gradient = parameter->variable().grad();
      add("grad." + path,
          gradient.defined() ? gradient : zeros(parameter->shape(), parameter->variable().grad_dtype()));
    }
  }

  NamedTensors take() { return std::move(tensors_); }

 private:
  void add(std::string name, const Tensor& tensor) { tensors_.emplace_back(std::move(name), tensor); }

  FusedModel& model_;
  TextBatch batch_;
  Supervised labelled_;
  Variable embeddings_, loss_;
  Vision vision_;
  NamedTensors tensors_;
};

}  // namespace

NamedTensors dump(FusedModel& model, const DumpInput& input, bool gradients) {
  check(model, input);
  Dump states(model, input);
  if (gradients) {
    states.forward(input.pixels);
    states.backward_pass();
  } else {
    const NoGrad no_grad;
    states.forward(input.pixels);
  }
  return states.take();
}

}  // namespace dehvf
