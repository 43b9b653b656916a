// Work that comes again and again with other inputs of equal shapes: recorded once for each set of shapes,
// and replayed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace dehvf {

/// Those that are not empty, on the device.
std::vector<Tensor> moved(std::span<const Tensor> tensors, Device device);

class StepGraphs {
 public:
  using Work = std::function<void(std::span<const Tensor> inputs)>;

  /// The device's backend can capture.
  explicit StepGraphs(Device device) : device_(device) {}

  /// Does `work` with copies of the host's `inputs` on the device. It must depend on nothing else that
  /// changes, and what it uses beside them must stay where it is as long as this object lives.
  void run(std::span<const Tensor> inputs, const Work& work);
  size_t recorded() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::vector<Tensor> inputs;
    std::unique_ptr<Graph> graph;
    uint64_t used = 0;
  };
  Bucket& record(const std::string& shapes, std::span<const Tensor> inputs, const Work& work);
  void drop_oldest();

  Device device_;
  bool warm_ = false;
  uint64_t runs_ = 0;
  std::map<std::string, Bucket> buckets_;  // by the shapes of their inputs
};

}  // namespace dehvf
