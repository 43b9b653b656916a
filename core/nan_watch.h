// Finds the kernel that made the first number that is not finite.
#pragma once

#include <string_view>

#include "core/tensor.h"

namespace dehvf {

/// While it lives, every kernel of this thread is followed by a look at all its float tensors, which waits
/// for the device, and new tensors begin as zeros, so that what was never written is not blamed. Slow.
class NanWatch {
 public:
  NanWatch();
  ~NanWatch();
  NanWatch(const NanWatch&) = delete;
  NanWatch& operator=(const NanWatch&) = delete;
  static NanWatch* current();

  /// Throws Error naming kernel, tensor, element and Phase::path() where one is NaN or infinite; minus
  /// infinity passes if `minus_infinity_is_meant`.
  void look(std::string_view kernel, int argument, const Tensor& tensor, bool minus_infinity_is_meant) const;

 private:
  NanWatch* outer_;
};

}  // namespace dehvf
