#include "core/dtype.h"

#include <array>

namespace dehvf {
namespace {

struct Entry {
  std::string_view name;
  size_t bytes;
};
constexpr std::array<Entry, 8> kEntries{
    {{"f32", 4}, {"bf16", 2}, {"f16", 2}, {"f64", 8}, {"i32", 4}, {"i64", 8}, {"u8", 1}, {"f8e4m3", 1}}};

// Rounds |x| to a small float with `mantissa` bits and exponent bias `bias`, to nearest even; subnormals
// included.
uint32_t encode_magnitude(float x, int mantissa, int bias) {
  const float magnitude = std::fabs(x);
  if (magnitude == 0) return 0;
  int exponent = 0;
  std::frexp(magnitude, &exponent);                              // magnitude = m * 2^exponent, m in [0.5, 1)
  const int unit = std::max(exponent - 1, 1 - bias) - mantissa;  // exponent of the last kept bit
  const auto steps = uint32_t(std::nearbyint(std::ldexp(magnitude, -unit)));
  const uint32_t base = uint32_t(std::max(exponent - 1 + bias, 1) - 1) << mantissa;
  return base + steps;  // a carry out of the mantissa moves into the exponent by itself
}

float decode_magnitude(uint32_t bits, int mantissa, int bias) {
  const uint32_t exponent = bits >> mantissa, fraction = bits & ((1u << mantissa) - 1);
  if (exponent == 0) return std::ldexp(float(fraction), 1 - bias - mantissa);
  return std::ldexp(float(fraction | (1u << mantissa)), int(exponent) - bias - mantissa);
}

}  // namespace

size_t size_of(DType dtype) { return kEntries.at(size_t(dtype)).bytes; }
std::string_view name_of(DType dtype) { return kEntries.at(size_t(dtype)).name; }

DType dtype_named(std::string_view name) {
  for (size_t i = 0; i < kEntries.size(); ++i)
    if (kEntries[i].name == name) return DType(i);
  fail<DTypeError>("dtype: wanted f32, bf16, f16, f64, i32, i64, u8 or f8e4m3, found '", name, "'");
}

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f64;
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }

f16::f16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x))
    bits = sign | 0x7e00;
  else if (std::fabs(x) >= 65520.0f)
    bits = sign | 0x7c00;  // rounds to infinity
  else
    bits = uint16_t(sign | encode_magnitude(x, 10, 15));
}

f16::operator float() const {
  const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = (bits >> 10) & 0x1f,
                 fraction = bits & 0x3ff;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0)
    return std::bit_cast<float>(sign) + (sign ? -1.0f : 1.0f) * decode_magnitude(fraction, 10, 15);
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

f8e4m3::f8e4m3(float x) {
  const uint8_t sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x) || std::fabs(x) > 464.0f)
    bits = sign | 0x7f;  // e4m3 has no infinity; 464 itself is a tie with the even 448
  else
    bits = uint8_t(sign | encode_magnitude(x, 3, 7));
}

f8e4m3::operator float() const {
  if ((bits & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fc00000u);
  const float magnitude = decode_magnitude(bits & 0x7f, 3, 7);
  return bits & 0x80 ? -magnitude : magnitude;
}

}  // namespace dehvf
