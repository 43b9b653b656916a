// Element types, their 16- and 8-bit storage structs, and the bridge from a run-time DType to a C++ type.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string_view>
#include <type_traits>

#include "core/error.h"

namespace dehvf {

enum class DType : uint8_t { f32, bf16, f16, f64, i32, i64, u8, f8e4m3 };

size_t size_of(DType dtype);               // bytes of one element
std::string_view name_of(DType dtype);     // "f32", "bf16", ...
DType dtype_named(std::string_view name);  // throws DTypeError with the known names
bool is_float(DType dtype);
std::ostream& operator<<(std::ostream& out, DType dtype);

/// bfloat16: the upper half of an f32, rounded to nearest even.
struct bf16 {
  uint16_t bits;
  bf16() = default;
  explicit bf16(float x) {
    const uint32_t u = std::bit_cast<uint32_t>(x);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? uint16_t((u >> 16) | 0x40) : uint16_t((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

/// IEEE half.
struct f16 {
  uint16_t bits;
  f16() = default;
  explicit f16(float x);
  explicit operator float() const;
};

/// OCP e4m3 (no infinity, largest 448), a storage format of frozen weights only.
struct f8e4m3 {
  uint8_t bits;
  f8e4m3() = default;
  explicit f8e4m3(float x);
  explicit operator float() const;
};

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, f16>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::i32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::i64;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::u8;
  else {
    static_assert(std::is_same_v<T, f8e4m3>, "not an element type");
    return DType::f8e4m3;
  }
}

/// The type in which values of T are computed: f64 for f64, f32 for everything else.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Calls fn(std::type_identity<T>{}) for the floating-point type behind `dtype`; the one place that lists
/// them.
template <class Fn>
decltype(auto) visit_float(DType dtype, Fn&& fn) {
  switch (dtype) {
    case DType::f32:
      return fn(std::type_identity<float>{});
    case DType::bf16:
      return fn(std::type_identity<bf16>{});
    case DType::f16:
      return fn(std::type_identity<f16>{});
    case DType::f64:
      return fn(std::type_identity<double>{});
    default:
      fail<DTypeError>("wanted a dtype to compute in (f32, bf16, f16, f64), found ", dtype);
  }
}

}  // namespace dehvf
