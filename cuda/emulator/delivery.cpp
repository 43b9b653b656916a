#include "cuda/emulator/delivery.h"

#include <utility>

namespace dehvf::simt {
namespace {

thread_local Delivery current_delivery = Delivery::eager;

}  // namespace

Delivery delivery() { return current_delivery; }

DeliveryScope::DeliveryScope(Delivery delivery) : before_(std::exchange(current_delivery, delivery)) {}

DeliveryScope::~DeliveryScope() { current_delivery = before_; }

}  // namespace dehvf::simt
