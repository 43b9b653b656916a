// Atomics of integers. Those of floating-point numbers do not exist: their order, and with it the result,
// differs from run to run. An atomic that changes nothing is a poll and lets other threads go on.
#pragma once

#include <concepts>

#include "cuda/emulator/meet.h"

namespace dehvf::simt {

template <class T>
concept Countable = std::integral<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

/// *address = update(*address); what was there. Threads of a device are never torn apart inside. What changes
/// nothing is tried once more after the others went on, so that a loop around it sees what they did.
template <class T, class Update>
T updated(const Site& site, T* address, const Update& update) {
  const auto attempt = [&](T& old) {
    old = __atomic_load_n(address, __ATOMIC_RELAXED);
    const T value = update(old);
    __atomic_store_n(address, value, __ATOMIC_RELAXED);
    return value != old;
  };
  T old;
  bool changes = attempt(old);
  if (!changes) {
    poll(site);
    changes = attempt(old);
  }
  if (changes) progressed();
  return old;
}

}  // namespace dehvf::simt

namespace dehvf {
inline namespace emulated {

template <simt::Countable T>
T atomicAdd(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  using U = std::make_unsigned_t<T>;
  return simt::updated({"atomicAdd", where}, address, [&](T old) { return T(U(old) + U(value)); });
}
template <simt::Countable T>
T atomicSub(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  using U = std::make_unsigned_t<T>;
  return simt::updated({"atomicSub", where}, address, [&](T old) { return T(U(old) - U(value)); });
}
template <simt::Countable T>
T atomicMin(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicMin", where}, address, [&](T old) { return value < old ? value : old; });
}
template <simt::Countable T>
T atomicMax(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicMax", where}, address, [&](T old) { return old < value ? value : old; });
}
template <simt::Countable T>
T atomicAnd(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicAnd", where}, address, [&](T old) { return T(old & value); });
}
template <simt::Countable T>
T atomicOr(T* address, std::type_identity_t<T> value,
           std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicOr", where}, address, [&](T old) { return T(old | value); });
}
template <simt::Countable T>
T atomicXor(T* address, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicXor", where}, address, [&](T old) { return T(old ^ value); });
}
template <simt::Countable T>
T atomicExch(T* address, std::type_identity_t<T> value,
             std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicExch", where}, address, [&](T) { return T(value); });
}
template <simt::Countable T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
            std::source_location where = std::source_location::current()) {
  return simt::updated({"atomicCAS", where}, address,
                       [&](T old) { return old == expected ? T(value) : old; });
}

}  // namespace emulated
}  // namespace dehvf
