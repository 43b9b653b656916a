// Kernels that only move bytes: each element read or written once counts, whatever the kernel does.
#include "bench/kernel_bench.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/dropout.h"
#include "core/ops/elementwise.h"
#include "core/ops/norm.h"
#include "core/ops/optimizer.h"
#include "core/ops/rope.h"
#include "core/ops/rows.h"
#include "core/ops/softmax.h"

namespace dehvf {
namespace {

template <class Tag>
const auto& kernel(const KernelKey& key) {
  return Registry<Tag>::instance().find(key);
}

class MemoryCases {
 public:
  explicit MemoryCases(const Workbench& bench)
      : bench_(bench), rows_(bench.size(2048, 3)), width_(bench.size(4096, 72)), shape_{rows_, width_} {}

  // `tensors`: how many matrices of the shape are read or written once.
  template <class Tag>
  void add(double tensors, std::function<std::function<void(const KernelKey&)>(const Workbench&)> make) {
    const auto variants = variants_of<Tag>(bench_.device());
    if (!variants.empty())
      cases.push_back({std::string(Tag::name), concat(shape_, " bf16"), tensors * double(shape_.count()) * 2,
                       0, variants, std::move(make)});
  }

  void elementwise() {
    add<Activate>(2, [s = shape_](const Workbench& on) {
      return [x = on.random(s), y = on.empty(s)](const KernelKey& key) {
        kernel<Activate>(key)(x, Activation::silu, y);
      };
    });
    add<Add>(3, [s = shape_](const Workbench& on) {
      return [a = on.random(s), b = on.random(s), y = on.empty(s)](const KernelKey& key) {
        kernel<Add>(key)(a, b, 0.5, y);
      };
    });
    add<SwiGlu>(3, [s = shape_](const Workbench& on) {
      return [gate = on.random(s), up = on.random(s), y = on.empty(s)](const KernelKey& key) {
        kernel<SwiGlu>(key)(gate, up, y);
      };
    });
    add<SwiGluBackward>(5, [s = shape_](const Workbench& on) {
      return [gate = on.random(s), up = on.random(s), dy = on.random(s), dgate = on.empty(s),
              dup = on.empty(s)](const KernelKey& key) {
        kernel<SwiGluBackward>(key)(gate, up, dy, dgate, dup);
      };
    });
    add<Cast>(3, [s = shape_](const Workbench& on) {
      return
          [x = on.random(s), y = on.empty(s, DType::f32)](const KernelKey& key) { kernel<Cast>(key)(x, y); };
    });
  }

  void norms() {
    add<RmsNorm>(2, [s = shape_](const Workbench& on) {
      return [x = on.random(s), w = on.random({s[1]}), y = on.empty(s), inv = on.empty({s[0]}, DType::f32)](
                 const KernelKey& key) { kernel<RmsNorm>(key)(x, w, 1e-5, y, inv); };
    });
    add<RmsNormBackward>(3, [s = shape_](const Workbench& on) {
      return [x = on.random(s), w = on.random({s[1]}), dy = on.random(s), dx = on.empty(s),
              inv = on.random({s[0]}, DType::f32)](const KernelKey& key) {
        kernel<RmsNormBackward>(key)(x, w, inv, dy, dx);
      };
    });
    add<LayerNorm>(2, [s = shape_](const Workbench& on) {
      return [x = on.random(s), w = on.random({s[1]}), b = on.random({s[1]}), y = on.empty(s),
              mean = on.empty({s[0]}, DType::f32), inv = on.empty({s[0]}, DType::f32)](const KernelKey& key) {
        kernel<LayerNorm>(key)(x, w, b, 1e-5, y, mean, inv);
      };
    });
  }

  void rows() {
    add<Softmax>(2, [s = shape_](const Workbench& on) {
      return [x = on.random(s), y = on.empty(s)](const KernelKey& key) { kernel<Softmax>(key)(x, y); };
    });
    add<SoftmaxBackward>(3, [s = shape_](const Workbench& on) {
      return [y = on.random(s), dy = on.random(s), dx = on.empty(s)](const KernelKey& key) {
        kernel<SoftmaxBackward>(key)(y, dy, dx);
      };
    });
    add<Dropout>(2, [s = shape_](const Workbench& on) {
      const DropoutSpec spec{
          .rate = 0.1, .seed = 1, .sample_ids = tensor_of(std::vector<int64_t>{7}).to(on.device())};
      return [x = on.random(s), offsets = on.indices({0, int32_t(s[0])}), spec,
              y = on.empty(s)](const KernelKey& key) { kernel<Dropout>(key)(x, offsets, spec, y); };
    });
    add<ArgmaxRows>(1, [s = shape_](const Workbench& on) {
      return [x = on.random(s), index = on.empty({s[0]}, DType::i32)](const KernelKey& key) {
        kernel<ArgmaxRows>(key)(x, index);
      };
    });
    add<GatherRows>(2, [s = shape_](const Workbench& on) {
      std::vector<int32_t> order;
      for (int64_t i = 0; i < s[0]; ++i) order.push_back(int32_t(i * 7919 % s[0]));
      return [x = on.random(s), index = on.indices(order), y = on.empty(s)](const KernelKey& key) {
        kernel<GatherRows>(key)(x, index, y);
      };
    });
    add<Rope>(2, [s = shape_, dim = bench_.size(128, 24)](const Workbench& on) {
      std::vector<int32_t> at;
      for (int64_t i = 0; i < s[0]; ++i) at.push_back(int32_t(i % 512));
      const Shape heads{s[0], s[1] / dim, dim};
      return [x = on.random(heads), positions = on.indices(at), y = on.empty(heads),
              table = rope_table({}, dim, 512, DType::f32, on.device())](const KernelKey& key) {
        const TurnedHeads one{x, y};
        kernel<Rope>(key)({&one, 1}, positions, table, Turn::forward);
      };
    });
  }

  // Of f32, twice the bytes that add() counts.
  void optimizer() {
    add<FinishGradients>(2, [s = shape_](const Workbench& on) {
      return [gradient = on.random(s, DType::f32), state = step_state(on.device())](const KernelKey& key) {
        kernel<FinishGradients>(key)(gradient, {}, 1, state);
      };
    });
    // Four matrices of f32 read and three written, the bytes of decay, a working copy of bf16.
    add<AdamW>(2 * 7 + 0.5 + 1, [s = shape_](const Workbench& on) {
      const AdamWBuffers buffers{.value = on.random(s, DType::f32),
                                 .gradient = on.random(s, DType::f32),
                                 .first_moment = on.random(s, DType::f32),
                                 .second_moment = full(s, 1, DType::f32, on.device()),
                                 .decay = zeros(s, DType::u8, on.device()),
                                 .working = on.empty(s)};
      return [buffers, state = step_state(on.device())](const KernelKey& key) {
        kernel<AdamW>(key)(buffers, {}, state);
      };
    });
  }

  std::vector<KernelCase> cases;

 private:
  const Workbench& bench_;
  int64_t rows_, width_;
  Shape shape_;
};

}  // namespace

std::vector<KernelCase> memory_cases(const Workbench& bench) {
  MemoryCases cases(bench);
  cases.elementwise();
  cases.norms();
  cases.rows();
  cases.optimizer();
  return std::move(cases.cases);
}

}  // namespace dehvf
