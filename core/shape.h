// Sizes of a tensor's axes, outermost first; rank 0 (a scalar) to 5, held in place.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

namespace dehvf {

class Shape {
 public:
  static constexpr int kMaxRank = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);  // throws ShapeError above rank 5 or for a negative size

  int rank() const { return rank_; }
  int64_t operator[](int axis) const;  // negative axes count from the end
  int64_t count() const;               // product of all sizes; 1 for rank 0
  std::span<const int64_t> sizes() const { return {sizes_.data(), size_t(rank_)}; }

  int64_t last() const { return (*this)[-1]; }
  int64_t rows() const;  // product of all sizes but the last: the tensor seen as [rows, last]
  Shape with(int axis, int64_t size) const;
  Shape without(int axis) const;

  friend bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape);  // [2, 512, 4096]

 private:
  int axis_index(int axis) const;
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

}  // namespace dehvf
