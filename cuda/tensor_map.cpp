#include "cuda/ptx/tensor_map.cuh"

#include <cudaTypedefs.h>

#include "cuda/check.h"

namespace dehvf::cuda::ptx {
namespace {

// Asked for at run time, because a program that links libcuda does not start without a driver.
PFN_cuTensorMapEncodeTiled_v12000 encoder() {
  constexpr const char* kName = "cuTensorMapEncodeTiled";
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check(cudaGetDriverEntryPointByVersion(kName, &function, 12000, cudaEnableDefault, &found), kName);
  require<CudaError>(found == cudaDriverEntryPointSuccess && function, "tensor map: the driver has no ",
                     kName, "; wanted one of CUDA 12.0 or newer");
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

CUtensorMapDataType type_of(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DType::f16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DType::f32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    default:
      fail<ShapeError>("tensor map: wanted f32, bf16 or f16, found ", dtype);
  }
}

CUtensorMapSwizzle swizzle_of(Swizzle swizzle) {
  constexpr CUtensorMapSwizzle kOf[] = {CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_SWIZZLE_32B,
                                        CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_SWIZZLE_128B};
  return kOf[size_t(swizzle)];
}

}  // namespace

TensorMap make_tensor_map(const void* data, DType dtype, Swizzle swizzle, std::span<const TileAxis> axes) {
  check_tiles(data, dtype, swizzle, axes);
  static const auto encode = encoder();
  cuuint64_t sizes[4], strides[4];
  cuuint32_t box[4], steps[4];
  for (size_t i = 0; i < axes.size(); ++i) {
    sizes[i] = axes[i].size;
    strides[i] = axes[i].stride * size_of(dtype);
    box[i] = axes[i].box;
    steps[i] = 1;
  }
  TensorMap map{};
  const CUresult result =
      encode(&map, type_of(dtype), cuuint32_t(axes.size()), const_cast<void*>(data), sizes, strides + 1, box,
             steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(swizzle), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require<CudaError>(result == CUDA_SUCCESS, "tensor map: the driver refuses it with error ", int(result));
  return map;
}

}  // namespace dehvf::cuda::ptx
