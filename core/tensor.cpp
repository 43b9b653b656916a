#include "core/tensor.h"

#include <algorithm>

#include "core/nan_watch.h"

namespace dehvf {

namespace {

// None where the work that will use the memory is recorded: then the recordings' memory is booked.
std::optional<Purpose> current_purpose(Device device) {
  if (backend(device).records(current_stream(device))) return std::nullopt;
  return PurposeScope::current();
}

std::byte* allocate(size_t bytes, Device device, std::optional<Purpose> purpose) {
  Backend& owner = backend(device);
  try {
    if (purpose) owner.memory().admit(bytes);
    auto* const data = static_cast<std::byte*>(owner.allocate(bytes, current_stream(device)));
    if (purpose) owner.memory().add(*purpose, bytes);
    return data;
  } catch (const OutOfMemory& error) {
    fail<OutOfMemory>(
        device, ": ", error.what(), "; held: ", describe(owner.memory().now()),
        "; smaller batches (train.micro_batch), train.segment=recompute or dtype=bf16 need less");
  }
}

}  // namespace

Storage::Storage(size_t bytes, Device device)
    : purpose_(current_purpose(device)),
      data_(allocate(bytes, device, purpose_)),
      bytes_(bytes),
      device_(device) {
  if (NanWatch::current()) backend(device).fill_bytes(data_, 0, bytes, current_stream(device));
}

Storage::Storage(void* data, size_t bytes, Device device, std::shared_ptr<const void> lender)
    : data_(static_cast<std::byte*>(data)), bytes_(bytes), device_(device), lender_(std::move(lender)) {
  require<Error>(lender_ != nullptr, "storage: borrowed bytes need a lender");
}

Storage::~Storage() {
  if (lender_ || !has_device(device_)) return;
  backend(device_).free(data_, bytes_, current_stream(device_));
  if (purpose_) backend(device_).memory().remove(*purpose_, bytes_);
}

Tensor::Tensor(const Shape& shape, DType dtype, Device device)
    : storage_(std::make_shared<Storage>(size_t(shape.count()) * size_of(dtype), device)),
      shape_(shape),
      dtype_(dtype) {}

Tensor::Tensor(std::shared_ptr<Storage> storage, size_t offset, const Shape& shape, DType dtype)
    : storage_(std::move(storage)), offset_(offset), shape_(shape), dtype_(dtype) {
  require(offset_ % size_of(dtype) == 0 && offset_ + bytes() <= storage_->bytes(), "tensor ", shape, " of ",
          dtype, " at byte ", offset, " does not fit into ", storage_->bytes(), " bytes");
}

Device Tensor::device() const {
  require<Error>(defined(), "tensor: an empty one has no device");
  return storage_->device();
}

void* Tensor::raw() const {
  require<Error>(defined(), "tensor: an empty one has no data");
  return storage_->data() + offset_;
}

Tensor Tensor::reshape(const Shape& shape) const {
  require(shape.count() == count(), "reshape: ", shape_, " has ", count(), " elements, ", shape, " has ",
          shape.count());
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  require(shape_.rank() > 0 && 0 <= begin && begin <= end && end <= shape_[0], "slice: [", begin, ", ", end,
          ") of the first axis of ", shape_);
  Tensor view = *this;
  const int64_t step = shape_[0] == 0 ? 0 : count() / shape_[0];
  view.offset_ += size_t(begin * step) * size_of(dtype_);
  view.shape_ = shape_.with(0, end - begin);
  return view;
}

Tensor Tensor::operator[](int64_t index) const {
  Tensor view = slice(index, index + 1);
  view.shape_ = shape_.without(0);
  return view;
}

Tensor Tensor::clone() const {
  Tensor copy(shape_, dtype_, device());
  copy_into(*this, copy);
  return copy;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor moved(shape_, dtype_, device);
  copy_into(*this, moved);
  return moved;
}

Tensor zeros(const Shape& shape, DType dtype, Device device) {
  Tensor result(shape, dtype, device);
  backend(device).fill_bytes(result.raw(), 0, result.bytes(), current_stream(device));
  return result;
}

Tensor full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result(shape, dtype, device);
  fill(result, value);
  return result;
}

void fill(const Tensor& tensor, double value) {
  if (value == 0) {
    backend(tensor.device()).fill_bytes(tensor.raw(), 0, tensor.bytes(), current_stream(tensor.device()));
    return;
  }
  Tensor host = tensor.device() == kCpu ? tensor : Tensor(tensor.shape(), tensor.dtype());
  visit_float(tensor.dtype(), [&]<class T>(std::type_identity<T>) {
    std::ranges::fill(host.span<T>(), T(Compute<T>(value)));
  });
  if (tensor.device() != kCpu) copy_into(host, tensor);
}

void copy_into(const Tensor& from, const Tensor& to) {
  require(from.shape() == to.shape(), "copy: from ", from.shape(), " to ", to.shape());
  require<DTypeError>(from.dtype() == to.dtype(), "copy: from ", from.dtype(), " to ", to.dtype());
  const Device owner =
      to.device() == kCpu ? from.device() : to.device();  // the GPU's backend moves mixed copies
  backend(owner).copy(to.raw(), to.device(), from.raw(), from.device(), from.bytes(), current_stream(owner));
  if (to.device() == kCpu && owner != kCpu) backend(owner).synchronize(current_stream(owner));
}

double item(const Tensor& scalar) {
  require(scalar.count() == 1, "item: wanted one element, found ", scalar.shape());
  const Tensor host = scalar.to(kCpu);
  return visit_float(host.dtype(),
                     [&]<class T>(std::type_identity<T>) { return double(Compute<T>(*host.data<T>())); });
}

}  // namespace dehvf
