// Bulk copies: boxes of tensors and bytes in a row, between global and shared memory.
#pragma once

#include <span>

#include "cuda/ptx/tensor_map.cuh"

namespace dehvf::simt {

using cuda::ptx::TensorMap;

/// To the blocks of the cluster that are set in `blocks`; 0: to the own one.
void load_box(const Site& site, void* shared, const TensorMap& map, uint64_t* barrier,
              std::span<const int> at, unsigned blocks);
void load_bytes(const Site& site, void* shared, const void* global, unsigned bytes, uint64_t* barrier);

void store_box(const Site& site, const TensorMap& map, const void* shared, std::span<const int> at);
void store_bytes(const Site& site, void* global, const void* shared, unsigned bytes);
void close_stores();
void wait_for_stores(size_t left, bool read_only);

}  // namespace dehvf::simt
