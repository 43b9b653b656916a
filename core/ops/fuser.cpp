#include "core/ops/fuser.h"

#include <algorithm>

#include "core/ops/check.h"
#include "core/plan.h"

namespace dehvf {
namespace {

// What a block's shared memory holds: 99 KiB on the smallest GPU that counts.
constexpr int64_t kMostWidth = 256, kMostLevelNumbers = 1536, kMostShares = 96;

int64_t blocks_of(std::span<const Tensor> parameters) {
  return (int64_t(parameters.size()) - kFuserHead - kFuserTail) / kFuserBlock;
}

void check(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan) {
  const int64_t blocks = blocks_of(parameters);
  require(blocks > 0 && int64_t(parameters.size()) == kFuserHead + kFuserTail + blocks * kFuserBlock,
          "fuser: ", parameters.size(), " parameters, wanted 10 and 16 for each block");
  const int64_t layers = int64_t(plan.first_level.size()), t = parameters[0].size(1),
                hidden = parameters[2].size(0), width = levels.size(2), group = parameters.back().size(0);
  const auto check_one = [&](size_t i, const Shape& shape) {
    check_float("fuser", concat("parameter ", i), parameters[i]);
    check_like("fuser", concat("parameter ", i), parameters[i], shape, parameters[i].dtype(),
               levels.device());
  };
  const Shape first[] = {{layers, t}, {plan.positions, t}, {hidden, 2 * t}, {hidden}, {t, hidden},
                         {t},         {width, t},          {width}};
  for (size_t i = 0; i < kFuserHead; ++i) check_one(i, first[i]);
  for (size_t i = 0; i < size_t(blocks) * kFuserBlock; ++i) {
    const size_t place = i % kFuserBlock;
    const bool matrix = place % 2 == 0 && place != 8 && place != 14;  // not the two norms
    check_one(kFuserHead + i, matrix ? Shape{width, width} : Shape{width});
  }
  check_one(parameters.size() - 2, {group, width});
  check_one(parameters.size() - 1, {group});
  for (int level : plan.first_level)
    require(level >= 0 && level + group <= levels.size(1), "fuser: a layer wants levels ", level, " to ",
            level + group - 1, " of ", levels.size(1));
}

// Of the maps and of attention, forward.
struct FuserFlops {
  double maps, attention;
};
FuserFlops flops_of(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan) {
  const auto images = double(levels.size(0)), width = double(levels.size(2)),
             t = double(parameters[0].size(1)), hidden = double(parameters[2].size(0)),
             group = double(parameters.back().size(0)), blocks = double(blocks_of(parameters)),
             queries = double(plan.first_level.size()) * plan.positions;
  const double embedding = 2 * queries * (3 * t * hidden + t * width),
               of_queries = 2 * images * queries * width * (4 * width * blocks + group),
               of_levels = 2 * images * double(levels.size(1)) * width * 2 * width * blocks;
  return {embedding + of_queries + of_levels, 4 * images * queries * group * width * blocks};
}

}  // namespace

std::vector<FuserChunk> fuser_chunks(const FuserPlan& plan) {
  const int layers = int(plan.first_level.size());
  std::vector<FuserChunk> chunks;
  for (int first = 0, last = 0; first < layers; first = last) {
    const int level = plan.first_level[size_t(first)];
    while (last < layers && plan.first_level[size_t(last)] == level) ++last;
    const int end = last * plan.positions;
    for (int query = first * plan.positions; query < end; query += kFuserChunk)
      chunks.push_back({query, std::min(kFuserChunk, end - query), level});
  }
  return chunks;
}

bool fuser_fits(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan) {
  if (levels.device() == kCpuPlan || !has_kernel<FuserForward>(levels.device().kind)) return false;
  const auto computed_in_f32 = [](const Tensor& x) { return x.dtype() != DType::f64; };
  if (!std::ranges::all_of(parameters, computed_in_f32)) return false;
  const int64_t width = levels.size(2), group = parameters.back().size(0);
  const int64_t widest = std::max({width, 2 * parameters[0].size(1), parameters[2].size(0), group});
  return int64_t(fuser_chunks(plan).size()) <= kFuserMostChunks &&
         blocks_of(parameters) <= kFuserMostBlocks && widest <= kMostWidth &&
         group * width <= kMostLevelNumbers && group * plan.heads <= kMostShares;
}

Tensor fuser(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan) {
  check_float("fuser", "levels", levels);
  require(levels.shape().rank() == 3, "fuser: levels is ", levels.shape(),
          ", wanted [images, levels, width]");
  check(levels, parameters, plan);
  const Tensor weights(
      {levels.size(0), int64_t(plan.first_level.size()) * plan.positions, parameters.back().size(0)},
      levels.dtype(), levels.device());
  if (Trace* trace = Trace::current()) {
    const auto [maps, attention] = flops_of(levels, parameters, plan);
    trace->add_flops(FuserForward::name, maps + attention);
  }
  run<FuserForward>(levels.device().kind, levels, parameters, plan, weights);
  return weights;
}

void fuser_backward(const Tensor& levels, std::span<const Tensor> parameters, const FuserPlan& plan,
                    const Tensor& dweights, const Tensor& dlevels, std::span<const Tensor> grads) {
  if (Trace* trace = Trace::current()) {  // both sides of every map, and attention's five products
    const auto [maps, attention] = flops_of(levels, parameters, plan);
    trace->add_flops(FuserBackward::name, 2 * maps + 2.5 * attention);
  }
  run<FuserBackward>(levels.device().kind, levels, parameters, plan, dweights, dlevels, grads);
}

}  // namespace dehvf
