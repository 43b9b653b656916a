// Several elements in one load or store of up to 16 bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dehvf::cuda {

/// As much as one load or store moves, at most: larger packs take several.
inline constexpr size_t kLoad = 16;

template <class T, int N>
struct alignas(std::min(sizeof(T) * N, kLoad)) Pack {
  T items[N];
};

/// N elements from `data`, which is aligned as a pack of them.
template <int N, class T>
__device__ Pack<T, N> load(const T* data) {
  return *reinterpret_cast<const Pack<T, N>*>(data);
}

template <class T, int N>
__device__ void store(T* data, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(data) = pack;
}

/// How many elements of each type one thread handles at once: 16 bytes of the widest.
template <class... T>
inline constexpr int kPack = int(kLoad / std::max({sizeof(T)...}));

/// Whether N elements can be loaded at once from every one of the addresses.
template <int N, class... T>
bool aligned_for(const T*... data) {
  return ((reinterpret_cast<uintptr_t>(data) % alignof(Pack<T, N>) == 0) && ...);
}

}  // namespace dehvf::cuda
