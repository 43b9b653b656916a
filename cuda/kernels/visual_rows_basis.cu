// B = [basis | bias | zeros]^T of the visual rows, and back: a thread owns one element of B.
#include "cuda/kernels/visual_rows.cuh"

namespace dehvf::cuda {
namespace {

constexpr int kThreads = 256;

template <class From, class To>
__global__ void pack_basis_kernel(const From* basis, const From* bias, int64_t rank, int64_t width,
                                  int64_t count, To* packed) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, r = i / width, c = i % width;
  if (i < count)
    packed[i] = rounded<To>(r < rank ? widened(basis[c * rank + r]) : r == rank ? widened(bias[c]) : 0.0f);
}

template <class To>
__global__ void unpack_basis_kernel(const float* packed, int64_t rank, int64_t width, int64_t count,
                                    To* basis, To* bias) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, r = i / width, c = i % width;
  if (i >= count) return;
  if (r < rank && basis) basis[c * rank + r] = rounded<To>(packed[i]);
  if (r == rank && bias) bias[c] = rounded<To>(packed[i]);
}

dim3 blocks_of(int64_t count) { return dim3(unsigned((count + kThreads - 1) / kThreads)); }

}  // namespace

void pack_basis(const Tensor& basis, const Tensor& bias, const Tensor& packed) {
  const int64_t count = packed.count();
  const auto as = [&]<class From, class To>(std::type_identity<From>, std::type_identity<To>) {
    const Tensor added = cast(bias, basis.dtype());
    launch({"pack_basis"}, blocks_of(count), dim3(kThreads), 0, current_stream(packed.device()),
           pack_basis_kernel<From, To>, data_of<const From>(basis), data_of<const From>(added), basis.size(1),
           basis.size(0), count, data_of<To>(packed));
  };
  visit_element("visual_rows", packed.dtype(), [&]<class To>(std::type_identity<To> to) {
    if constexpr (std::is_same_v<To, float>)
      visit_element("visual_rows", basis.dtype(), [&](auto from) { as(from, to); });
    else
      as(to, to);
  });
}

void unpack_basis(const Tensor& packed, int64_t rank, const Tensor& basis, const Tensor& bias) {
  const DType dtype = basis ? basis.dtype() : bias.dtype();
  require<DTypeError>(!bias || bias.dtype() == dtype, "visual_rows: the gradient of basis is ", dtype,
                      ", that of bias ", bias ? bias.dtype() : dtype, "; wanted one dtype");
  visit_element("visual_rows", dtype, [&]<class To>(std::type_identity<To>) {
    launch({"unpack_basis"}, blocks_of(packed.count()), dim3(kThreads), 0, current_stream(packed.device()),
           unpack_basis_kernel<To>, data_of<const float>(packed), rank, packed.size(1), packed.count(),
           data_of<To>(basis), data_of<To>(bias));
  });
}

}  // namespace dehvf::cuda
