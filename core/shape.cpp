#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace dehvf {

Shape::Shape(std::span<const int64_t> sizes) : rank_(int(sizes.size())) {
  require(sizes.size() <= kMaxRank, "shape: wanted at most ", kMaxRank, " axes, found ", sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    require(sizes[i] >= 0, "shape: axis ", i, " has negative size ", sizes[i]);
    sizes_[i] = sizes[i];
  }
}

int Shape::axis_index(int axis) const {
  const int index = axis < 0 ? axis + rank_ : axis;
  require(index >= 0 && index < rank_, "shape ", *this, ": axis ", axis, " does not exist");
  return index;
}

int64_t Shape::operator[](int axis) const { return sizes_[axis_index(axis)]; }

int64_t Shape::count() const {
  int64_t product = 1;
  for (int64_t size : sizes()) product *= size;
  return product;
}

int64_t Shape::rows() const {
  int64_t product = 1;
  for (int i = 0; i + 1 < rank_; ++i) product *= sizes_[i];
  return product;
}

Shape Shape::with(int axis, int64_t size) const {
  Shape copy = *this;
  copy.sizes_[axis_index(axis)] = size;
  return copy;
}

Shape Shape::without(int axis) const {
  const int index = axis_index(axis);
  Shape copy = *this;
  std::copy(sizes_.begin() + index + 1, sizes_.end(), copy.sizes_.begin() + index);
  copy.sizes_.back() = 0;
  --copy.rank_;
  return copy;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank_; ++i) out << (i ? ", " : "") << shape.sizes_[i];
  return out << ']';
}

}  // namespace dehvf
