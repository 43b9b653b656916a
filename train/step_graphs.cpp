#include "train/step_graphs.h"

#include <algorithm>
#include <utility>

#include "core/phase.h"

namespace dehvf {
namespace {

constexpr size_t kMost = 128;  // each holds some thousand launches; their memory is shared

std::string shapes_of(std::span<const Tensor> tensors) {
  std::string text;
  for (const Tensor& tensor : tensors)
    text += tensor.defined() ? concat(tensor.dtype(), tensor.shape(), ' ') : "- ";
  return text;
}

}  // namespace

std::vector<Tensor> moved(std::span<const Tensor> tensors, Device device) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.defined() ? tensor.to(device) : Tensor());
  return result;
}

void StepGraphs::run(std::span<const Tensor> inputs, const Work& work) {
  if (!std::exchange(warm_, true)) return work(moved(inputs, device_));  // makes what is made once and stays
  const std::string shapes = shapes_of(inputs);
  const auto found = buckets_.find(shapes);
  Bucket& bucket = found != buckets_.end() ? found->second : record(shapes, inputs, work);
  bucket.used = ++runs_;
  const Phase phase("graph");
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].defined()) copy_into(inputs[i], bucket.inputs[i]);
  bucket.graph->replay(current_stream(device_));
}

StepGraphs::Bucket& StepGraphs::record(const std::string& shapes, std::span<const Tensor> inputs,
                                       const Work& work) {
  if (buckets_.size() == kMost) drop_oldest();
  Bucket bucket;
  for (const Tensor& input : inputs)
    bucket.inputs.push_back(input.defined() ? Tensor(input.shape(), input.dtype(), device_) : Tensor());
  bucket.graph = capture(device_, [&] { work(bucket.inputs); });
  return buckets_.emplace(shapes, std::move(bucket)).first->second;
}

void StepGraphs::drop_oldest() {
  buckets_.erase(std::ranges::min_element(buckets_, {}, [](const auto& entry) { return entry.second.used; }));
}

}  // namespace dehvf
