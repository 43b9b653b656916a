// Reading golden fixtures and holding results against them.
#pragma once

#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "core/ops/elementwise.h"
#include "models/safetensors.h"

namespace dehvf {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(DEHVF_SOURCE_DIR) / "tests" / "golden" / name;
}

/// Largest |got - want|, relative to the largest |want| (or to 1 where that is smaller than `floor`).
inline double relative_error(const Tensor& got, const Tensor& want, double floor = 1e-3) {
  EXPECT_EQ(got.count(), want.count());
  const Tensor a = cast(got, DType::f64), b = cast(want, DType::f64);
  double largest = floor, error = 0;
  for (int64_t i = 0; i < b.count(); ++i) {
    largest = std::max(largest, std::fabs(b.data<double>()[i]));
    const double difference = std::fabs(a.data<double>()[i] - b.data<double>()[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
  }
  return error / largest;
}

/// Integers of an i64 tensor.
template <class T>
std::vector<T> integers(const Tensor& tensor) {
  const auto values = tensor.span<int64_t>();
  return {values.begin(), values.end()};
}

}  // namespace dehvf
