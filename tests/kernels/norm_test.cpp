#include "core/ops/norm.h"

#include <algorithm>
#include <cstring>

#include "core/ops/reduce.h"
#include "support/parity.h"

namespace dehvf {
namespace {

class NormKernels : public Parity {
 protected:
  /// body(kernel, name) for every kernel that this device has.
  template <class Tag, class Body>
  void for_variants(const Body& body) const {
    for (const KernelKey& key : variants<Tag>())
      body(Registry<Tag>::instance().find(key), concat(Tag::name, ' ', key));
  }
  Tensor per_row(int64_t rows) const { return Tensor({rows}, DType::f32, device()); }
};

// Around the packs, the warps and what a block keeps in registers.
constexpr int64_t kWidths[] = {1, 7, 8, 64, 611, 1024, 4104, 9001};
constexpr int64_t kRows = 3;
constexpr double kEps = 1e-5;

// Rows in one dtype, weights in another; the rows begin `shift` elements behind an aligned address.
struct Operands {
  Tensor x, dy, weight, bias;
};
Operands operands(int64_t width, int64_t shift, DType dtype, DType other, Device device) {
  const auto key = [&](uint64_t of) { return random_key({of, uint64_t(width)}); };
  const auto rows = [&](uint64_t of) {
    return drawn(kRows * width, shift, dtype, device, key(of), 2).reshape({kRows, width});
  };
  return {rows(81), rows(82), drawn(width, 0, other, device, key(83), 2),
          drawn(width, 0, other, device, key(84), 2)};
}

double largest(const Tensor& statistics) { return std::ranges::max(statistics.to(kCpu).span<float>()); }

template <class Body>
void for_operands(Device device, const Body& body) {
  for (DType dtype : kKernelDtypes)
    for (DType other : kKernelDtypes)
      for (int64_t width : kWidths)
        for (int64_t shift : {0, 1}) {
          if (dtype != other && other != DType::f32 && width != 611) continue;  // read as f32
          if (!affordable(100 * kRows * width, dtype)) continue;
          body(operands(width, shift, dtype, other, device), width, shift);
        }
}

TEST_P(NormKernels, RmsNorm) {
  for_variants<RmsNorm>([&](const auto& kernel, const std::string& name) {
    for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
      const Tensor whole = output(in.x.count(), shift, in.x.dtype()), inv_rms = per_row(kRows);
      const Tensor y = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
      kernel(in.x, in.weight, kEps, y, inv_rms);
      const RmsNormResult want = rms_norm(exact(in.x), exact(in.weight), kEps);
      expect_close(y, want.y, {.additions = double(width), .stores = 2}, name);
      expect_close(inv_rms, want.inv_rms, {.additions = double(width)}, name + " inv_rms");
      expect_untouched_behind(whole, shift + in.x.count());
    });
  });
}

TEST_P(NormKernels, RmsNormBackward) {
  for_variants<RmsNormBackward>([&](const auto& kernel, const std::string& name) {
    for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
      const Tensor inv_rms = rms_norm(in.x, in.weight, kEps).inv_rms;
      const Tensor whole = output(in.x.count(), shift, in.x.dtype());
      const Tensor dx = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
      kernel(in.x, in.weight, inv_rms, in.dy, dx);
      const Tensor want = rms_norm_backward(exact(in.x), exact(in.weight), exact(inv_rms), exact(in.dy));
      // inv times the two terms of the bracket
      expect_close(dx, want, {.additions = double(width), .magnitude = 8 * largest(inv_rms)}, name);
      expect_untouched_behind(whole, shift + in.x.count());
    });
  });
}

TEST_P(NormKernels, LayerNorm) {
  for_variants<LayerNorm>([&](const auto& kernel, const std::string& name) {
    for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
      const Tensor whole = output(in.x.count(), shift, in.x.dtype()), mean = per_row(kRows),
                   inv = per_row(kRows);
      const Tensor y = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
      kernel(in.x, in.weight, in.bias, kEps, y, mean, inv);
      const LayerNormResult want = layer_norm(exact(in.x), exact(in.weight), exact(in.bias), kEps);
      expect_close(y, want.y, {.additions = double(width), .magnitude = 8}, name);
      expect_close(mean, want.mean, {.additions = double(width), .magnitude = 2}, name + " mean");
      expect_close(inv, want.inv_deviation, {.additions = double(width)}, name + " inv_deviation");
      expect_untouched_behind(whole, shift + in.x.count());
    });
  });
}

TEST_P(NormKernels, LayerNormBackward) {
  for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
    const LayerNormResult forward = layer_norm(in.x, in.weight, in.bias, kEps);
    const Tensor whole = output(in.x.count(), shift, in.x.dtype());
    const Tensor dx = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
    run<LayerNormBackward>(device().kind, in.x, in.weight, forward.mean, forward.inv_deviation, in.dy, dx);
    const Tensor want = layer_norm_backward(exact(in.x), exact(in.weight), exact(forward.mean),
                                            exact(forward.inv_deviation), exact(in.dy));
    expect_close(dx, want, {.additions = double(width), .magnitude = 12 * largest(forward.inv_deviation)},
                 "layer_norm_backward");
    expect_untouched_behind(whole, shift + in.x.count());
  });
}

// With a residual: the sum has the CPU's bits, the rest is the norm of that sum.
TEST_P(NormKernels, AddRmsNorm) {
  for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
    const RmsNormResult got = add_rms_norm(in.x, in.dy, in.weight, kEps);
    expect_close(got.sum, exact(add(in.x.to(kCpu), in.dy.to(kCpu))), {.magnitude = 1e-30},
                 "add_rms_norm sum");
    const RmsNormResult want = rms_norm(exact(got.sum), exact(in.weight), kEps);
    expect_close(got.y, want.y, {.additions = double(width), .stores = 2}, "add_rms_norm");
    expect_close(got.inv_rms, want.inv_rms, {.additions = double(width)}, "add_rms_norm inv_rms");
    const Tensor whole = output(in.x.count(), shift, in.x.dtype());
    const Tensor dx = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
    run<AddRmsNormBackward>(device().kind, got.sum, in.weight, got.inv_rms, in.dy, in.x, dx);
    expect_close(dx,
                 add_rms_norm_backward(exact(got.sum), exact(in.weight), exact(got.inv_rms), exact(in.dy),
                                       exact(in.x)),
                 {.additions = double(width), .magnitude = 8 * largest(got.inv_rms) + 2, .stores = 2},
                 "add_rms_norm_backward");
    expect_untouched_behind(whole, shift + in.x.count());
  });
}

TEST_P(NormKernels, AddLayerNorm) {
  for_operands(device(), [&](const Operands& in, int64_t width, int64_t shift) {
    const LayerNormResult got = add_layer_norm(in.x, in.dy, in.weight, in.bias, kEps);
    expect_close(got.sum, exact(add(in.x.to(kCpu), in.dy.to(kCpu))), {.magnitude = 1e-30},
                 "add_layer_norm sum");
    const LayerNormResult want = layer_norm(exact(got.sum), exact(in.weight), exact(in.bias), kEps);
    expect_close(got.y, want.y, {.additions = double(width), .magnitude = 8}, "add_layer_norm");
    const Tensor whole = output(in.x.count(), shift, in.x.dtype());
    const Tensor dx = whole.slice(shift, shift + in.x.count()).reshape(in.x.shape());
    run<AddLayerNormBackward>(device().kind, got.sum, in.weight, got.mean, got.inv_deviation, in.dy, in.x,
                              dx);
    expect_close(dx,
                 add_layer_norm_backward(exact(got.sum), exact(in.weight), exact(got.mean),
                                         exact(got.inv_deviation), exact(in.dy), exact(in.x)),
                 {.additions = double(width), .magnitude = 12 * largest(got.inv_deviation) + 2, .stores = 2},
                 "add_layer_norm_backward");
    expect_untouched_behind(whole, shift + in.x.count());
  });
}

TEST_P(NormKernels, WeightGrads) {
  for (DType dtype : kKernelDtypes)
    for (int64_t rows : {1, 200})
      for (int64_t width : {5, 264}) {
        const Tensor x = random_normal({rows, width}, 2, 85, dtype).to(device());
        const Tensor dy = random_normal({rows, width}, 1, 86, dtype).to(device());
        const Tensor ones = full({width}, 1, DType::f32, device());
        const RmsNormResult rms = rms_norm(x, ones, kEps);
        const LayerNormResult layer = layer_norm(x, ones, ones, kEps);
        const Bound bound{.additions = double(rows), .magnitude = 4 * std::sqrt(double(rows))};
        expect_close(
            layer_norm_weight_grad(x, layer.mean, layer.inv_deviation, dy),
            layer_norm_weight_grad(exact(x), exact(layer.mean), exact(layer.inv_deviation), exact(dy)), bound,
            "layer_norm_weight_grad");
        // The normalised values are rounded to the dtype of x before they are summed.
        const Tensor normalised = exact(rms_norm(x, ones, kEps).y);
        const Tensor want = zeros({width}, DType::f64), d = exact(dy);
        for (int64_t i = 0; i < rows * width; ++i)
          want.data<double>()[i % width] += normalised.data<double>()[i] * d.data<double>()[i];
        expect_close(rms_norm_weight_grad(x, rms.inv_rms, dy), want, bound, "rms_norm_weight_grad");
      }
}

// With the row's own inv_rms the two roundings are known exactly.
TEST_P(NormKernels, RmsNormRoundsBeforeTheWeight) {
  const int64_t rows = 3, width = 769;
  const Tensor x = random_normal({rows, width}, 2, 6, DType::bf16);
  const Tensor weight = random_uniform({width}, 0.5, 1.5, 7, DType::bf16);
  const RmsNormResult got = rms_norm(x.to(device()), weight.to(device()), 1e-6);
  const Tensor y = got.y.to(kCpu), inv = got.inv_rms.to(kCpu);
  for (int64_t i = 0; i < rows * width; ++i) {
    const bf16 normalised(float(x.data<bf16>()[i]) * inv.data<float>()[i / width]);
    const bf16 want(float(normalised) * float(weight.data<bf16>()[i % width]));
    ASSERT_EQ(y.data<bf16>()[i].bits, want.bits) << i;
  }
}

TEST_P(NormKernels, RepeatsBitForBit) {
  const Tensor x = random_normal({17, 5003}, 1, 8, DType::f16).to(device());
  const Tensor weight = random_normal({5003}, 1, 9).to(device());
  const Tensor first = rms_norm(x, weight, 1e-5).y.to(kCpu), second = rms_norm(x, weight, 1e-5).y.to(kCpu);
  EXPECT_EQ(std::memcmp(first.raw(), second.raw(), first.bytes()), 0);
}

TEST_P(NormKernels, TakeNoRows) {
  EXPECT_EQ(
      rms_norm(Tensor({0, 8}, DType::f32, device()), full({8}, 1, DType::f32, device()), 1e-5).y.count(), 0);
  const Tensor grads =
      rms_norm_weight_grad(Tensor({0, 8}, DType::f32, device()), Tensor({0}, DType::f32, device()),
                           Tensor({0, 8}, DType::f32, device()));
  EXPECT_EQ(item(sum_all(grads)), 0);
}

INSTANTIATE_TEST_SUITE_P(Places, NormKernels, kPlaces, place_name);

}  // namespace
}  // namespace dehvf
