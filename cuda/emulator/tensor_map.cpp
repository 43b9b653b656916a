#include "cuda/ptx/tensor_map.cuh"

namespace dehvf::cuda::ptx {

TensorMap make_tensor_map(const void* data, DType dtype, Swizzle swizzle, std::span<const TileAxis> axes) {
  check_tiles(data, dtype, swizzle, axes);
  TensorMap map{};
  map.data = static_cast<unsigned char*>(const_cast<void*>(data));
  map.element = uint8_t(size_of(dtype));
  map.rank = uint8_t(axes.size());
  map.swizzle = swizzle;
  for (size_t i = 0; i < 4; ++i) {
    const bool there = i < axes.size();
    const unsigned unit = i == 0 ? map.element : 1;
    map.sizes[i] = there ? axes[i].size * unit : 1;
    map.strides[i] = there ? axes[i].stride * map.element : 0;
    map.box[i] = uint16_t(there ? axes[i].box * unit : 1);
  }
  return map;
}

}  // namespace dehvf::cuda::ptx
