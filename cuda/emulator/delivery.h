// When asynchronous work of emulated kernels arrives: copies into shared memory, products of the tensor
// cores.
#pragma once

#include <cstdint>

namespace dehvf::simt {

enum class Delivery : uint8_t {
  eager,  // where it is issued
  late,   // at the last moment that the rules allow: where somebody waits for it
};

Delivery delivery();  // of the grids that this thread starts

class DeliveryScope {
 public:
  explicit DeliveryScope(Delivery delivery);
  ~DeliveryScope();
  DeliveryScope(const DeliveryScope&) = delete;
  DeliveryScope& operator=(const DeliveryScope&) = delete;

 private:
  Delivery before_;
};

}  // namespace dehvf::simt
