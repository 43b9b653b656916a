// g = clip gradient;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// value -= rate (m s1 / (sqrt(v s2) + epsilon) + decay weight_decay value),  s1, s2: bias corrections
// Sums of squares are f64: a block owns kPart elements, each thread every 256th pack; one block adds the
// parts. Rate, clip and corrections are read from the StepState.
#include <limits>

#include "core/ops/optimizer.h"
#include "cuda/element.cuh"
#include "cuda/launch.cuh"
#include "cuda/load.cuh"
#include "cuda/reduce.cuh"

namespace dehvf::cuda {
namespace {

constexpr int64_t kPart = 1 << 15;
constexpr int kThreads = 256;
constexpr int64_t kAllFinite = std::numeric_limits<int64_t>::max();

// What is known of a part of a gradient, or of all of it.
struct Part {
  double squares;
  int64_t not_finite;  // the first such element
};

struct Earlier {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return b < a ? b : a; }
};

__device__ Part block_part(const Part& mine) {
  return {block_sum(mine.squares), block_sum(mine.not_finite, kAllFinite, Earlier{})};
}

template <int N, class T>
__device__ void look_at(const T* x, int64_t i, Part& part) {
  const Pack<T, N> pack = load<N>(x + i);
#pragma unroll
  for (int k = 0; k < N; ++k) {
    const float item = widened(pack.items[k]);
    part.squares += double(item) * double(item);
    if (!(fabsf(item) <= std::numeric_limits<float>::max()) && part.not_finite == kAllFinite)
      part.not_finite = i + k;
  }
}

template <int N, class T>
__global__ void parts_kernel(const T* x, int64_t count, Part* parts) {
  const int64_t begin = blockIdx.x * kPart, end = begin + kPart < count ? begin + kPart : count;
  Part mine{0, kAllFinite};
  for (int64_t i = begin + int64_t(threadIdx.x) * N; i < end; i += int64_t(blockDim.x) * N)
    if (i + N <= end)
      look_at<N>(x, i, mine);
    else
      for (int64_t rest = i; rest < end; ++rest) look_at<1>(x, rest, mine);
  const Part whole = block_part(mine);
  if (threadIdx.x == 0) parts[blockIdx.x] = whole;
}

// The sum of all parts, to all threads of the only block.
__device__ Part sum_of(const Part* parts, int count) {
  Part mine{0, kAllFinite};
  for (int i = int(threadIdx.x); i < count; i += int(blockDim.x)) {
    mine.squares += parts[i].squares;
    mine.not_finite = Earlier{}(mine.not_finite, parts[i].not_finite);
  }
  return block_part(mine);
}

__global__ void squared_norm_kernel(const Part* parts, int count, double* norm) {
  const Part whole = sum_of(parts, count);
  if (threadIdx.x == 0) *norm = whole.squares;
}

__device__ bool finite(double x) { return fabs(x) <= std::numeric_limits<double>::max(); }

__global__ void finish_gradients_kernel(const Part* parts, int count, double clip, double beta1, double beta2,
                                        StepState* state) {
  const Part whole = sum_of(parts, count);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(whole.squares), update = double(state->updates + 1);
  state->gradient_norm = norm;
  state->skip = finite(norm) && finite(state->loss) ? 0 : 1;
  state->not_finite = whole.not_finite == kAllFinite ? -1 : whole.not_finite;
  state->clip_factor = clip > 0 && norm > clip ? clip / norm : 1;
  state->first_scale = 1 / (1 - pow(beta1, update));
  state->second_scale = 1 / (1 - pow(beta2, update));
}

__global__ void add_loss_kernel(const float* loss, StepState* state) { state->loss += double(*loss); }

// The buffers, and what all elements share.
template <class W>
struct Update {
  float* value;
  const float* gradient;
  float *first, *second;
  const uint8_t* decay;
  W* working;  // may be null
  float beta1, beta2, epsilon, weight_decay;
};

template <int N, class W>
__device__ void update_at(const Update<W>& u, const StepState& state, int64_t i) {
  const auto clip = float(state.clip_factor), rate = float(state.learning_rate);
  const auto first_scale = float(state.first_scale), second_scale = float(state.second_scale);
  Pack<float, N> value = load<N>(u.value + i), m = load<N>(u.first + i), v = load<N>(u.second + i);
  const Pack<float, N> gradient = load<N>(u.gradient + i);
  const Pack<uint8_t, N> decay = load<N>(u.decay + i);
  Pack<W, N> working;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    const float g = gradient.items[k] * clip;
    m.items[k] = u.beta1 * m.items[k] + (1 - u.beta1) * g;
    v.items[k] = u.beta2 * v.items[k] + (1 - u.beta2) * g * g;
    const float direction = m.items[k] * first_scale / (sqrtf(v.items[k] * second_scale) + u.epsilon);
    const float shrink = float(decay.items[k]) * rate * u.weight_decay;
    value.items[k] -= rate * direction + shrink * value.items[k];
    working.items[k] = rounded<W>(value.items[k]);
  }
  store(u.value + i, value);
  store(u.first + i, m);
  store(u.second + i, v);
  if (u.working) store(u.working + i, working);
}

// A thread owns N elements.
template <int N, class W>
__global__ void adamw_kernel(Update<W> update, int64_t count, const StepState* state) {
  const int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  if (state->skip) return;
  if (i + N <= count)
    update_at<N>(update, *state, i);
  else
    for (int64_t rest = i; rest < count; ++rest) update_at<1>(update, *state, rest);
}

template <class W>
void adamw_as(const AdamWBuffers& b, const AdamWOptions& o, const Tensor& state) {
  constexpr int64_t kItems = kPack<float>;
  const Update<W> u{b.value.data<float>(),
                    b.gradient.data<float>(),
                    b.first_moment.data<float>(),
                    b.second_moment.data<float>(),
                    b.decay.data<uint8_t>(),
                    b.working.defined() ? static_cast<W*>(b.working.raw()) : nullptr,
                    float(o.beta1),
                    float(o.beta2),
                    float(o.epsilon),
                    float(o.weight_decay)};
  const bool packed = aligned_for<kItems>(u.value, u.gradient, u.first, u.second, u.decay, u.working);
  const int64_t each = kThreads * (packed ? kItems : 1);
  launch({"adamw"}, dim3(unsigned((b.value.count() + each - 1) / each)), dim3(kThreads), 0,
         current_stream(b.value.device()), packed ? adamw_kernel<kItems, W> : adamw_kernel<1, W>, u,
         b.value.count(), static_cast<const StepState*>(state.raw()));
}

void adamw(const AdamWBuffers& buffers, const AdamWOptions& options, const Tensor& state) {
  if (buffers.working.defined() && buffers.working.dtype() == DType::f16)
    adamw_as<__half>(buffers, options, state);
  else
    adamw_as<__nv_bfloat16>(buffers, options, state);
}

// [parts] of x, never empty.
Tensor parts_of(const Tensor& x) {
  const int64_t blocks = std::max<int64_t>(1, (x.count() + kPart - 1) / kPart);
  Tensor parts({blocks, int64_t(sizeof(Part))}, DType::u8, x.device());
  visit_element("squared_norm", x.dtype(), [&]<class T>(std::type_identity<T>) {
    constexpr int kItems = kPack<T>;
    const auto* const in = static_cast<const T*>(x.raw());
    const bool packed = aligned_for<kItems>(in);
    launch({"squared_norm"}, dim3(unsigned(blocks)), dim3(kThreads), 0, current_stream(x.device()),
           packed ? parts_kernel<kItems, T> : parts_kernel<1, T>, in, x.count(),
           static_cast<Part*>(parts.raw()));
  });
  return parts;
}

void squared_norm(const Tensor& x, const Tensor& norm) {
  const Tensor parts = parts_of(x);
  launch({"squared_norm"}, dim3(1), dim3(kThreads), 0, current_stream(x.device()), squared_norm_kernel,
         static_cast<const Part*>(parts.raw()), int(parts.size(0)), norm.data<double>());
}

void finish_gradients(const Tensor& gradient, const AdamWOptions& options, double clip, const Tensor& state) {
  const Tensor parts = parts_of(gradient);
  launch({"finish_gradients"}, dim3(1), dim3(kThreads), 0, current_stream(gradient.device()),
         finish_gradients_kernel, static_cast<const Part*>(parts.raw()), int(parts.size(0)), clip,
         options.beta1, options.beta2, static_cast<StepState*>(state.raw()));
}

void add_loss(const Tensor& loss, const Tensor& state) {
  launch({"add_loss"}, dim3(1), dim3(1), 0, current_stream(loss.device()), add_loss_kernel,
         loss.data<float>(), static_cast<StepState*>(state.raw()));
}

const Provide<AdamW> provide_adamw{{kKernelDevice}, adamw};
const Provide<SquaredNorm> provide_squared_norm{{kKernelDevice}, squared_norm};
const Provide<FinishGradients> provide_finish_gradients{{kKernelDevice}, finish_gradients};
const Provide<AddLoss> provide_add_loss{{kKernelDevice}, add_loss};

}  // namespace
}  // namespace dehvf::cuda
