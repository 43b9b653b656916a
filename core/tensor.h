// A Tensor is bytes with a shape: storage, offset, shape, dtype; always contiguous and row-major. It is a
// handle: copies share the bytes. Views are reshape() and slice() along the first axis.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/backend.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace dehvf {

/// Bytes with one owner: allocated from a device, or borrowed together with what keeps the lender alive.
class Storage {
 public:
  /// Allocates, for the purpose of PurposeScope. Throws OutOfMemory with a table of who holds what.
  Storage(size_t bytes, Device device);
  Storage(void* data, size_t bytes, Device device, std::shared_ptr<const void> lender);  // borrows
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  std::optional<Purpose> purpose_;  // under which it is booked, if it is
  std::byte* data_;
  size_t bytes_;
  Device device_;
  std::shared_ptr<const void> lender_;  // null when allocated
};

class Tensor {
 public:
  Tensor() = default;                                             // empty: defined() is false
  Tensor(const Shape& shape, DType dtype, Device device = kCpu);  // uninitialised
  Tensor(std::shared_ptr<Storage> storage, size_t offset, const Shape& shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int64_t count() const { return shape_.count(); }
  DType dtype() const { return dtype_; }
  Device device() const;
  size_t bytes() const { return size_t(count()) * size_of(dtype_); }

  void* raw() const;
  /// Elements as T; throws DTypeError unless T is the dtype.
  template <class T>
  T* data() const {
    require<DTypeError>(dtype_of<T>() == dtype_, "tensor ", shape_, " of ", dtype_, " read as ",
                        dtype_of<T>());
    return static_cast<T*>(raw());
  }
  template <class T>
  std::span<T> span() const {
    return {data<T>(), size_t(count())};
  }

  Tensor reshape(const Shape& shape) const;        // same count; shares the bytes
  Tensor slice(int64_t begin, int64_t end) const;  // [begin, end) of the first axis; shares the bytes
  Tensor operator[](int64_t index) const;          // one entry of the first axis, that axis removed
  Tensor clone() const;                            // own bytes
  Tensor to(Device device) const;                  // itself when already there
  bool shares_storage(const Tensor& other) const { return storage_ == other.storage_; }

 private:
  std::shared_ptr<Storage> storage_;
  size_t offset_ = 0;  // bytes
  Shape shape_;
  DType dtype_ = DType::f32;
};

Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = kCpu);
Tensor full(const Shape& shape, double value, DType dtype = DType::f32, Device device = kCpu);
void fill(const Tensor& tensor, double value);
void copy_into(const Tensor& from, const Tensor& to);  // equal shape and dtype, any devices

/// A tensor holding a copy of `values`, on the CPU or moved to `device`.
template <class T>
Tensor tensor_of(std::span<const T> values, const Shape& shape, Device device = kCpu) {
  require(int64_t(values.size()) == shape.count(), "tensor_of: ", values.size(), " values for shape ", shape);
  Tensor result(shape, dtype_of<T>());
  if (!values.empty()) std::memcpy(result.raw(), values.data(), values.size_bytes());
  return result.to(device);
}
template <class T>
Tensor tensor_of(const std::vector<T>& values, Device device = kCpu) {
  return tensor_of(std::span<const T>(values), Shape{int64_t(values.size())}, device);
}

double item(const Tensor& scalar);  // the single element of a float tensor, on any device

}  // namespace dehvf
