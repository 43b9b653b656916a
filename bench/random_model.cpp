#include "bench/random_model.h"

#include <cmath>
#include <map>

#include "core/random.h"

namespace dehvf {
namespace {

constexpr int64_t kPeriod = 1048573;  // a prime, so that no two rows of a matrix are equal

class Noise {
 public:
  Noise(DType dtype, Device device) : dtype_(dtype), device_(device) {}

  Tensor draw(const Shape& shape, double deviation) {
    auto found = drawn_.find(deviation);
    if (found == drawn_.end())
      found = drawn_.emplace(deviation, random_normal({kPeriod}, deviation, 1, dtype_).to(device_)).first;
    const Tensor& noise = found->second;
    const Tensor result(shape, dtype_, device_), flat = result.reshape({shape.count()});
    for (int64_t at = 0; at < flat.count();) {
      const int64_t count = std::min(flat.count() - at, kPeriod - next_);
      copy_into(noise.slice(next_, next_ + count), flat.slice(at, at + count));
      at += count;
      next_ = (next_ + count) % kPeriod;
    }
    return result;
  }

 private:
  DType dtype_;
  Device device_;
  std::map<double, Tensor> drawn_;  // by deviation
  int64_t next_ = 0;
};

}  // namespace

void fill_frozen(Module& module, DType dtype, Device device) {
  const PurposeScope scope(Purpose::weights);
  Noise noise(dtype, device);
  for (const auto& [path, parameter] : parameters_of(module)) {
    const Shape& shape = parameter->shape();
    const Initial& initial = parameter->initial();
    const auto value = [&] {
      switch (initial.kind) {
        case Initial::Kind::zeros:
          return zeros(shape, dtype, device);
        case Initial::Kind::ones:
          return full(shape, 1, dtype, device);
        case Initial::Kind::normal:
          return noise.draw(shape, initial.deviation);
        case Initial::Kind::xavier:
          return noise.draw(shape, std::sqrt(2.0 / double(shape[0] + shape.count() / shape[0])));
      }
      fail<Error>("random model: unknown kind for ", path);
    };
    parameter->set_frozen(value(), path);
  }
}

}  // namespace dehvf
