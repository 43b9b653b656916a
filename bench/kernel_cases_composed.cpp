// Kernels that do in one launch what other ops can be put together to, beside that composition: products of
// several operands, and the fuser.
#include <algorithm>
#include <map>
#include <memory>

#include "bench/kernel_bench.h"
#include "core/ops/fuser.h"
#include "core/ops/product.h"
#include "layers/fusion/fuser.h"

namespace dehvf {
namespace {

constexpr const char* kByTerms = "by terms";
constexpr const char* kComposed = "composed";

// One output of a product: its width and the depths of its terms.
struct OutputSize {
  int64_t n;
  std::vector<int64_t> k;
};

void add_product(std::vector<KernelCase>& cases, const Workbench& bench, std::string_view what, int64_t m,
                 const std::vector<OutputSize>& sizes) {
  KernelCase one{.slot = "product", .variants = variants_of<Product>(bench.device())};
  if (one.variants.empty()) return;
  one.variants.push_back({bench.device().kind, kByTerms});
  std::string widths;
  std::vector<int64_t> depths;  // each distinct a is one tensor, as the x of a layer is
  for (const auto& [n, k] : sizes) {
    std::string terms;
    for (int64_t depth : k) {
      one.flops += 2.0 * double(m) * double(n) * double(depth);
      one.bytes += 2.0 * double(n) * double(depth);
      terms += concat(terms.empty() ? "" : "+", depth);
      if (std::ranges::find(depths, depth) == depths.end()) depths.push_back(depth);
    }
    one.bytes += 2.0 * double(m) * double(n);
    widths += concat(widths.empty() ? "" : "|", n, 'x', terms);
  }
  for (int64_t depth : depths) one.bytes += 2.0 * double(m) * double(depth);
  one.shape = concat(what, ' ', m, 'x', widths, " bf16");
  one.make = [m, sizes, depths](const Workbench& on) {
    std::map<int64_t, Tensor> a;
    for (int64_t depth : depths) a[depth] = on.random({m, depth});
    std::vector<ProductOutput> outputs;
    for (const auto& [n, k] : sizes) {
      outputs.push_back({{}, on.empty({m, n})});
      for (int64_t depth : k) outputs.back().terms.push_back({a[depth], on.random({n, depth})});
    }
    return [outputs](const KernelKey& key) {
      if (key.variant == kByTerms) return product_by_terms(outputs, {.transpose_b = true}, nullptr);
      Registry<Product>::instance().find(key)(outputs, {.transpose_b = true});
    };
  };
  cases.push_back(std::move(one));
}

// The fuser of DEHVF's defaults on class tokens of `images` pictures.
class FuserSetup {
 public:
  FuserSetup(const Workbench& bench, const FuserConfig& config, int64_t images)
      : layers_(config), plan_{.positions = config.positions, .heads = config.heads, .first_level = {}} {
    const int64_t per_group = config.levels / config.groups;
    for (int layer = 0; layer < config.layers; ++layer) {
      groups_.push_back(group_of(layer, config.layers, config.groups));
      plan_.first_level.push_back(int(groups_.back() * per_group));
    }
    load_parameters(
        layers_, [&](const std::string&, const Shape& shape) { return bench.random(shape, DType::f32); },
        true);
    for (const auto& [path, parameter] : parameters_of(layers_)) {
      parameter->variable().set_value(cast(parameter->value(), DType::bf16));
      if (path.starts_with("fuser.keys")) continue;
      parameters_.push_back(bench.random(parameter->shape(), DType::f32));
      grads_.push_back(bench.empty(parameter->shape(), DType::f32));
    }
    class_tokens_ = Variable::parameter(bench.random({images, config.levels, config.tower_width}), "levels");
    levels_ = bench.random({images, config.levels, config.width});
    dlevels_ = bench.empty(levels_.shape(), DType::f32);
    weights_ = bench.empty({images, int64_t(config.layers) * config.positions, per_group});
    dweights_ = bench.random(weights_.shape());
  }

  void forward(const KernelKey& key) const {
    if (key.variant == kComposed) {
      const NoGrad no_grad;
      layers_.composed(class_tokens_, groups_);
    } else {
      Registry<FuserForward>::instance().find(key)(levels_, parameters_, plan_, weights_);
    }
  }
  void both(const KernelKey& key) const {
    if (key.variant == kComposed) return backward(layers_.composed(class_tokens_, groups_), dweights_);
    forward(key);
    Registry<FuserBackward>::instance().find(key)(levels_, parameters_, plan_, dweights_, dlevels_, grads_);
  }

 private:
  Fuser layers_;
  FuserPlan plan_;
  std::vector<int> groups_;
  std::vector<Tensor> parameters_, grads_;
  Variable class_tokens_;
  Tensor levels_, dlevels_, weights_, dweights_;
};

void add_fuser(std::vector<KernelCase>& cases, const Workbench& bench, const FuserConfig& config,
               int64_t images) {
  const auto variants = variants_of<FuserForward>(bench.device());
  if (variants.empty()) return;
  const double queries = double(images) * config.layers * config.positions, width = double(config.width),
               per_group = double(config.levels) / config.groups;
  // q, o, up, down and attention of a query; k and v of a level.
  const double flops = config.blocks * (queries * (8 * width * width + 4 * per_group * width) +
                                        4 * double(images) * config.levels * width * width);
  Fuser sized(config);
  const double bytes =
      4 * double(count_elements(sized)) + 2 * (double(images) * config.levels * width + queries * per_group);
  KernelCase one{.slot = "fuser_forward",
                 .shape = concat(images, " images, ", config.layers, " layers of ", config.levels,
                                 " levels, width ", config.width, ", blocks ", config.blocks),
                 .bytes = bytes,
                 .flops = flops,
                 .variants = variants};
  one.variants.push_back({bench.device().kind, kComposed});
  const auto setup = [config, images](const Workbench& on) {
    return std::make_shared<FuserSetup>(on, config, images);
  };
  one.make = [setup](const Workbench& on) {
    return [made = setup(on)](const KernelKey& key) { made->forward(key); };
  };
  cases.push_back(one);
  one.slot = "fuser_backward";
  one.shape = "behind forward, " + one.shape;
  one.bytes *= 3, one.flops *= 3;
  one.make = [setup](const Workbench& on) {
    return [made = setup(on)](const KernelKey& key) { made->both(key); };
  };
  cases.push_back(std::move(one));
}

}  // namespace

std::vector<KernelCase> composed_cases(const Workbench& bench) {
  std::vector<KernelCase> cases;
  if (bench.quick()) {
    add_product(cases, bench, "tiny gate|up", 33, {{40, {72}}, {40, {72}}});
    add_product(cases, bench, "tiny LoRA", 33, {{40, {72, 8}}});
    add_fuser(cases, bench, {3, 2, 2, 4, 8, 8, 8, 2, 1, 16}, 2);
    return cases;
  }
  add_product(cases, bench, "gate|up", 2048, {{11008, {4096}}, {11008, {4096}}});
  add_product(cases, bench, "k|v", 2048, {{4096, {4096}}, {4096, {4096}}});
  add_product(cases, bench, "q with LoRA", 2048, {{4096, {4096, 8}}});
  add_product(cases, bench, "q with LoRA", 2048, {{4096, {4096, 128}}});
  for (int64_t images : {4, 16}) add_fuser(cases, bench, {32, 2, 4, 24, 64, 128, 64, 4, 4, 1024}, images);
  return cases;
}

}  // namespace dehvf
