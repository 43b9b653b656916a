// How long the kernels of a thread take, by where in a step they ran.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"

namespace dehvf {

/// While it lives, every kernel of its thread that no other calls begins on an idle device and is waited for:
/// the sums are of kernels alone, and the step as a whole is slower than without a clock. One at a time.
class RangeClock {
 public:
  explicit RangeClock(Device device);
  ~RangeClock();
  RangeClock(const RangeClock&) = delete;
  RangeClock& operator=(const RangeClock&) = delete;

  /// By place: "backward > llama_block 3 > linear > matmul".
  const std::map<std::string, double>& seconds() const { return seconds_; }

  static RangeClock* current();
  void push(std::string_view name);
  void pop();

 private:
  double now() const;  // of an idle device

  Device device_;
  std::vector<std::string> places_;  // of the ranges that are open
  size_t kernel_ = 0;                // the outermost kernel among them, counted from 1; 0: none
  double begin_ = 0;
  std::map<std::string, double> seconds_;
};

}  // namespace dehvf
