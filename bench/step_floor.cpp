#include "bench/step_floor.h"

namespace dehvf {
namespace {

constexpr double kBf16 = 2, kAttentionBackward = 2.5;

struct Work {
  double flops = 0, seconds = 0;
  Work operator+(const Work& more) const { return {flops + more.flops, seconds + more.seconds}; }
  Work operator*(double times) const { return {flops * times, seconds * times}; }
};

class Floor {
 public:
  Floor(const StepShape& shape, const StepAdapter& adapter, const MachineRates& rates)
      : shape_(shape),
        adapter_(adapter),
        rates_(rates),
        llama_(shape.llama),
        tower_(shape.tower),
        tokens_(double(shape.samples * shape.length)),
        labelled_(double(shape.samples * shape.supervised)) {}

  std::vector<FloorPart> parts() {
    linears();
    attention();
    rows();
    outside_blocks();
    head();
    vision();
    return std::move(parts_);
  }

 private:
  Work work(double flops, double bytes) const {
    return {flops, std::max(flops / rates_.flops, bytes / rates_.bytes)};
  }
  Work product(double m, double n, double k) const {
    return work(2 * m * n * k, kBf16 * (m * k + n * k + m * n));
  }
  void add(const char* part, StepPass pass, const Work& work) {
    parts_.push_back({part, pass, work.flops, work.seconds});
  }
  double width() const { return double(llama_.width); }
  double q_width() const { return double(llama_.heads * llama_.head_dim); }
  double kv_width() const { return 2 * double(llama_.kv_heads * llama_.head_dim); }
  double blocks_before_last() const { return llama_.layers - 1; }

  void linears() {
    const auto o_and_ffn = [&](double m) {
      return product(m, width(), q_width()) + product(m, 2 * double(llama_.ffn), width()) +
             product(m, width(), double(llama_.ffn));
    };
    const Work block = product(tokens_, q_width() + kv_width(), width()) + o_and_ffn(tokens_);
    const Work last =
        product(tokens_, kv_width(), width()) + product(labelled_, q_width(), width()) + o_and_ffn(labelled_);
    add("linears", StepPass::forward, block * blocks_before_last() + last);
    // With one block only, that is block 0 and has no backward.
    add("linears", StepPass::backward,
        llama_.layers == 1 ? Work{} : block * (blocks_before_last() - 1) + last);
  }

  void attention() {
    const double s = double(shape_.length), samples = double(shape_.samples);
    // Position p, counted from 0, predicts token p + 1: the labelled rows are s - 1 - supervised ... s - 2.
    double last_pairs = 0;
    for (int64_t row = shape_.length - 1 - shape_.supervised; row < shape_.length - 1; ++row)
      last_pairs += double(row + 1);
    const auto pass = [&](double pairs, double queries, double times) {
      const double flops = 4 * q_width() * samples * pairs;
      return work((times > 1 ? kAttentionBackward : 1) * flops,
                  times * kBf16 * (2 * queries * q_width() + tokens_ * kv_width()));
    };
    const double half_square = s * s / 2;
    add("attention", StepPass::forward,
        pass(half_square, tokens_, 1) * blocks_before_last() + pass(last_pairs, labelled_, 1));
    add("attention", StepPass::backward,
        llama_.layers == 1
            ? Work{}
            : pass(half_square, tokens_, 2) * (blocks_before_last() - 1) + pass(last_pairs, labelled_, 2));
  }

  void rows() {
    const double per_token = adapter_.cost.flops_per_token / llama_.layers;
    const double shared = width() * double(2 * adapter_.slots + adapter_.rank),
                 image_terms = 2 * double(shape_.samples * tower_.patches() * adapter_.rank);
    const auto forward = [&](double m) {
      return work(per_token * m, kBf16 * (2 * m * width() + shared + image_terms));
    };
    const auto backward = [&](double m, bool for_input) {
      return work((for_input ? 2 : 1.5) * per_token * m,
                  kBf16 * ((for_input ? 3 : 2) * m * width() + 2 * shared + 2 * image_terms));
    };
    const double first = llama_.layers == 1 ? labelled_ : tokens_;
    Work back = backward(first, false);
    if (llama_.layers > 1)
      back = back + backward(tokens_, true) * (blocks_before_last() - 1) + backward(labelled_, true);
    add("visual rows", StepPass::forward, forward(tokens_) * blocks_before_last() + forward(labelled_));
    add("visual rows", StepPass::backward, back);
  }

  void outside_blocks() {
    const double images = double(shape_.samples), levels = images * double(tower_.patches()) * tower_.layers,
                 down = double(tower_.width * adapter_.rank);
    const double bytes = kBf16 * (levels * double(tower_.width) + down + levels * double(adapter_.rank));
    const Work once = work(adapter_.cost.flops_per_image * images, bytes);
    add("operator", StepPass::forward, once);
    add("operator", StepPass::backward, once * (adapter_.tower_trained ? 2 : 1));
  }

  void head() {
    const Work once = product(labelled_, double(llama_.vocab), width());
    add("lm head", StepPass::forward, once);
    add("lm head", StepPass::backward, once);
  }

  void vision() {
    const double s = double(tower_.patches() + 1), w = double(tower_.width), m = double(shape_.samples) * s;
    const Work maps = product(m, 3 * w, w) + product(m, w, w) + product(m, double(tower_.mlp), w) +
                      product(m, w, double(tower_.mlp));
    const Work attends = work(4 * s * s * w * double(shape_.samples), kBf16 * 4 * m * w),
               attends_back = work(kAttentionBackward * attends.flops, kBf16 * 8 * m * w);
    add("vision", StepPass::forward, (maps + attends) * tower_.layers);
    if (adapter_.tower_trained)
      add("vision", StepPass::backward, (maps + attends_back) * (tower_.layers - 1));
  }

  const StepShape& shape_;
  const StepAdapter& adapter_;
  const MachineRates& rates_;
  const LlamaConfig& llama_;
  const ClipConfig& tower_;
  double tokens_, labelled_;
  std::vector<FloorPart> parts_;
};

}  // namespace

std::string_view name_of(StepPass pass) { return pass == StepPass::forward ? "forward" : "backward"; }

StepAdapter step_adapter(FusedModel& model) {
  const auto& keys = model.options().config.resolved();
  const auto number = [&](const char* key) {
    const auto found = keys.find(key);
    require<ConfigError>(found != keys.end(), "step: the operator ", model.options().fusion,
                         " has no visual rows");
    return std::stoll(found->second);
  };
  return {.slots = number("slots"),
          .rank = number("rank"),
          .cost = model.fusion().cost(),
          .tower_trained = model.adapters() != nullptr};
}

std::vector<FloorPart> step_floor(const StepShape& shape, const StepAdapter& adapter,
                                  const MachineRates& rates) {
  return Floor(shape, adapter, rates).parts();
}

}  // namespace dehvf
