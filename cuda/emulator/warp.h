// Warp-wide functions: a barrier, shuffles, votes, matches, reductions of integers.
#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <functional>

#include "cuda/emulator/index.h"
#include "cuda/emulator/meet.h"

namespace dehvf::simt {

/// What a lane brings to a shuffle: its value, and the lane from which it takes one.
struct Shuffled {
  uint64_t bits;
  unsigned source;
};
void shuffle(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void ballot(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);
void match(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes);

/// First lane of the group of `width` to which the running one belongs; a KernelFault if it is no width.
unsigned segment(const Site& site, int width);

template <class T>
concept Shuffleable = std::is_trivially_copyable_v<T> && sizeof(T) <= 8;

template <Shuffleable T>
uint64_t bits_of(const T& value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

/// A lane that does not take part gives all ones: NaN.
template <Shuffleable T>
T taken_from(const Site& site, unsigned mask, const T& value, unsigned source) {
  const Shuffled in{bits_of(value), source};
  T out;
  exchange(site, mask, {&in, sizeof in, &out, sizeof out}, shuffle);
  return out;
}

template <class Out, class In>
Out combined(const Site& site, unsigned mask, const In& in, Combine combine) {
  Out out;
  exchange(site, mask, {&in, sizeof in, &out, sizeof out}, combine);
  return out;
}

struct Ballot {
  uint32_t votes, lanes;
};

template <class T, class Fn>
void reduce(const unsigned char (*in)[64], unsigned char (*out)[64], uint32_t lanes) {
  T sum{};
  bool first = true;
  for (unsigned i = 0; i < 32; ++i) {
    if (!(lanes >> i & 1)) continue;
    T value;
    std::memcpy(&value, in[i], sizeof value);
    sum = first ? value : Fn{}(sum, value);
    first = false;
  }
  for (unsigned i = 0; i < 32; ++i) std::memcpy(out[i], &sum, sizeof sum);
}

// Unsigned inside, because sums wrap.
struct Plus {
  template <class T>
  T operator()(T a, T b) const {
    return T(unsigned(a) + unsigned(b));
  }
};
struct Smaller {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Larger {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

template <class T>
concept Word = std::same_as<T, int> || std::same_as<T, unsigned>;

}  // namespace dehvf::simt

namespace dehvf {
inline namespace emulated {

inline void __syncwarp(unsigned mask = ~0u, std::source_location where = std::source_location::current()) {
  simt::combined<simt::Ballot>({"__syncwarp", where}, mask, 0, simt::ballot);
}

template <simt::Shuffleable T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              std::source_location where = std::source_location::current()) {
  const simt::Site site{"__shfl_sync", where};
  const unsigned first = simt::segment(site, width);
  return simt::taken_from(site, mask, value, first + (unsigned(source) & unsigned(width - 1)));
}

template <simt::Shuffleable T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 std::source_location where = std::source_location::current()) {
  const simt::Site site{"__shfl_up_sync", where};
  const unsigned first = simt::segment(site, width), lane = simt::lane();
  return simt::taken_from(site, mask, value, delta <= lane - first ? lane - delta : lane);
}

template <simt::Shuffleable T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   std::source_location where = std::source_location::current()) {
  const simt::Site site{"__shfl_down_sync", where};
  const unsigned end = simt::segment(site, width) + unsigned(width), lane = simt::lane();
  return simt::taken_from(site, mask, value, delta < end - lane ? lane + delta : lane);
}

/// A lane of a later group gives nothing: the own value.
template <simt::Shuffleable T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  std::source_location where = std::source_location::current()) {
  const simt::Site site{"__shfl_xor_sync", where};
  const unsigned end = simt::segment(site, width) + unsigned(width), lane = simt::lane();
  const unsigned source = lane ^ unsigned(lane_mask);
  return simt::taken_from(site, mask, value, source < end ? source : lane);
}

inline unsigned __ballot_sync(unsigned mask, int vote,
                              std::source_location where = std::source_location::current()) {
  return simt::combined<simt::Ballot>({"__ballot_sync", where}, mask, int(vote != 0), simt::ballot).votes;
}
inline int __any_sync(unsigned mask, int vote, std::source_location where = std::source_location::current()) {
  return simt::combined<simt::Ballot>({"__any_sync", where}, mask, int(vote != 0), simt::ballot).votes != 0;
}
inline int __all_sync(unsigned mask, int vote, std::source_location where = std::source_location::current()) {
  const auto all = simt::combined<simt::Ballot>({"__all_sync", where}, mask, int(vote != 0), simt::ballot);
  return all.votes == all.lanes;
}

template <simt::Shuffleable T>
unsigned __match_any_sync(unsigned mask, T value,
                          std::source_location where = std::source_location::current()) {
  return simt::combined<simt::Ballot>({"__match_any_sync", where}, mask, simt::bits_of(value), simt::match)
      .votes;
}
template <simt::Shuffleable T>
unsigned __match_all_sync(unsigned mask, T value, int* same,
                          std::source_location where = std::source_location::current()) {
  const auto equal =
      simt::combined<simt::Ballot>({"__match_all_sync", where}, mask, simt::bits_of(value), simt::match);
  *same = equal.votes == equal.lanes;
  return *same ? equal.votes : 0;
}

template <simt::Word T>
T __reduce_add_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return simt::combined<T>({"__reduce_add_sync", where}, mask, value, simt::reduce<T, simt::Plus>);
}
template <simt::Word T>
T __reduce_min_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return simt::combined<T>({"__reduce_min_sync", where}, mask, value, simt::reduce<T, simt::Smaller>);
}
template <simt::Word T>
T __reduce_max_sync(unsigned mask, T value, std::source_location where = std::source_location::current()) {
  return simt::combined<T>({"__reduce_max_sync", where}, mask, value, simt::reduce<T, simt::Larger>);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value,
                                  std::source_location where = std::source_location::current()) {
  return simt::combined<unsigned>({"__reduce_and_sync", where}, mask, value,
                                  simt::reduce<unsigned, std::bit_and<>>);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value,
                                 std::source_location where = std::source_location::current()) {
  return simt::combined<unsigned>({"__reduce_or_sync", where}, mask, value,
                                  simt::reduce<unsigned, std::bit_or<>>);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value,
                                  std::source_location where = std::source_location::current()) {
  return simt::combined<unsigned>({"__reduce_xor_sync", where}, mask, value,
                                  simt::reduce<unsigned, std::bit_xor<>>);
}

}  // namespace emulated
}  // namespace dehvf
