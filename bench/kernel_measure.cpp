#include <algorithm>
#include <chrono>
#include <cmath>

#include "bench/kernel_bench.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/random.h"

namespace dehvf {
namespace {

using Work = std::function<void()>;

constexpr double kColdBytes = 120e6;  // over twice the largest L2, so that operands come from memory
constexpr int kMostSets = 16, kRounds = 7;
constexpr double kRoundSeconds = 0.02, kWarmSeconds = 0.2;

// Seconds of `times` runs, work of the device included.
double seconds_of(const Work& work, int times, Device device) {
  Backend& on = backend(device);
  on.synchronize(current_stream(device));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) work();
  on.synchronize(current_stream(device));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Contestant {
  Work work;
  int times = 1;
  std::vector<double> seconds;  // of one run, a round each

  double at(double share) {
    std::ranges::sort(seconds);
    return seconds[size_t(share * double(seconds.size() - 1))];
  }
};

// All contestants in turns, so that a drifting clock meets every one of them.
void compete(std::vector<Contestant>& contestants, const Workbench& bench) {
  for (Contestant& one : contestants) {
    const double first = seconds_of(one.work, 1, bench.device());  // loads the kernel
    if (bench.quick()) {
      one.seconds = {first};
      continue;
    }
    double warmed = 0, each = first;
    while (warmed < kWarmSeconds) {
      const int times = std::max(1, int(0.25 * kWarmSeconds / std::max(each, 1e-6)));
      const double took = seconds_of(one.work, times, bench.device());
      warmed += took, each = took / times;
    }
    one.times = std::max(1, int(kRoundSeconds / each));
  }
  for (int round = 0; !bench.quick() && round < kRounds; ++round)
    for (Contestant& one : contestants)
      one.seconds.push_back(seconds_of(one.work, one.times, bench.device()) / one.times);
}

// Copies as many bytes as a kernel moves: half of them read, half written.
Work copy_of(double bytes, const Workbench& bench) {
  const int64_t half = std::max<int64_t>(1, int64_t(bytes / 2));
  const int64_t sets = bench.quick() ? 1 : std::clamp<int64_t>(int64_t(kColdBytes / bytes) + 1, 1, kMostSets);
  const Tensor from({sets, half}, DType::u8, bench.device()), to({sets, half}, DType::u8, bench.device());
  return [from, to, sets, i = int64_t(0)]() mutable {
    copy_into(from[i], to[i]);
    i = (i + 1) % sets;
  };
}

double rate(double amount, double seconds) { return amount / seconds; }

}  // namespace

Tensor Workbench::random(const Shape& shape, DType dtype) const {
  // A million numbers, again and again: what counts is that they are no zeros.
  const int64_t piece = std::min<int64_t>(shape.count(), 1 << 20);
  const Tensor drawn = random_normal({piece}, 1, uint64_t(shape.count()), dtype).to(device_);
  const Tensor result(shape, dtype, device_), flat = result.reshape({shape.count()});
  for (int64_t at = 0; at < shape.count(); at += piece) {
    const int64_t end = std::min(shape.count(), at + piece);
    copy_into(drawn.slice(0, end - at), flat.slice(at, end));
  }
  return result;
}

Tensor Workbench::indices(const std::vector<int32_t>& values) const { return tensor_of(values).to(device_); }

Json measure(const KernelCase& what, const Workbench& bench) {
  const int sets =
      bench.quick() ? 1 : std::clamp(int(kColdBytes / std::max(what.bytes, 1.0)) + 1, 1, kMostSets);
  std::vector<std::function<void(const KernelKey&)>> runs;
  for (int i = 0; i < sets; ++i) runs.push_back(what.make(bench));
  Json rows = Json::array();
  std::vector<KernelKey> variants;
  for (const KernelKey& key : what.variants) {
    try {
      runs[0](key);
      variants.push_back(key);
    } catch (const Error& error) {  // the others go on
      rows.push_back(
          {{"slot", what.slot}, {"variant", key.variant}, {"shape", what.shape}, {"failed", error.what()}});
    }
  }
  std::vector<Contestant> contestants;
  for (const KernelKey& key : variants)
    contestants.push_back({[&runs, &key, i = size_t(0)]() mutable {
      runs[i](key);
      i = (i + 1) % runs.size();
    }});
  contestants.push_back({copy_of(what.bytes, bench)});
  compete(contestants, bench);
  const double copy = contestants.back().at(0.5);
  for (size_t v = 0; v < variants.size(); ++v) {
    Contestant& one = contestants[v];
    rows.push_back({{"slot", what.slot},
                    {"variant", variants[v].variant},
                    {"shape", what.shape},
                    {"rounds", one.seconds.size()},
                    {"us", 1e6 * one.at(0.5)},
                    {"low_us", 1e6 * one.at(0)},
                    {"high_us", 1e6 * one.at(1)},
                    {"gb_s", 1e-9 * rate(what.bytes, one.at(0.5))},
                    {"tflop_s", 1e-12 * rate(what.flops, one.at(0.5))},
                    {"of_copy", copy / one.at(0.5)}});
  }
  return rows;
}

Json machine_rates(const Workbench& bench) {
  // Each large enough for its machine's best, in the dtype that it is trained in.
  const bool host = bench.device() == kCpu;
  const int64_t bytes = bench.size(int64_t(1) << (host ? 27 : 30), 1 << 16),
                side = bench.size(host ? 512 : 8192, 64);
  const DType dtype = host ? DType::f32 : DType::bf16;
  const auto timed = [&](Work work) {
    std::vector<Contestant> one{{std::move(work)}};
    compete(one, bench);
    return one[0].at(0.5);
  };
  Json rates{{"copy_gb_s", 1e-9 * 2 * double(bytes) / timed(copy_of(2.0 * double(bytes), bench))}};
  const Tensor on_device({bytes}, DType::u8, bench.device());
  Backend& on = backend(bench.device());
  const std::shared_ptr<void> pinned(on.allocate_pinned(size_t(bytes)),
                                     [&](void* data) { on.free_pinned(data, size_t(bytes)); });
  const Stream stream = current_stream(bench.device());
  const double down =
      timed([&] { on.copy(on_device.raw(), bench.device(), pinned.get(), kCpu, size_t(bytes), stream); });
  const double up =
      timed([&] { on.copy(pinned.get(), kCpu, on_device.raw(), bench.device(), size_t(bytes), stream); });
  rates["to_device_gb_s"] = 1e-9 * double(bytes) / down;
  rates["from_device_gb_s"] = 1e-9 * double(bytes) / up;
  for (const KernelKey& key : variants_of<Matmul>(bench.device())) {
    const Tensor a = bench.random({side, side}, dtype), b = bench.random({side, side}, dtype),
                 c = bench.empty({side, side}, dtype);
    if (key.variant == "naive") continue;
    const auto kernel = Registry<Matmul>::instance().find(key);
    const double seconds = timed([&] { kernel(a, b, c, {.transpose_b = true}); });
    rates[concat("product_", key.variant.empty() ? "own" : key.variant, "_tflop_s")] =
        2e-12 * std::pow(double(side), 3) / seconds;
  }
  const Tensor one = bench.random({1});
  rates["launch_us"] = 1e6 * timed([&] { run<Activate>(bench.device().kind, one, Activation::relu, one); });
  return rates;
}

}  // namespace dehvf
