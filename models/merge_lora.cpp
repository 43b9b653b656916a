#include "models/merge_lora.h"

#include "core/io/file.h"
#include "core/ops/elementwise.h"
#include "core/parallel.h"

namespace dehvf {
namespace {

Tensor merged(const Tensor& weight, const LoraModule& lora) {
  const Tensor sum(weight.shape(), DType::f32);
  copy_into(cast(weight, DType::f32), sum);
  const Tensor a = cast(lora.a, DType::f32), b = cast(lora.b, DType::f32);
  const int64_t rank = a.size(0), in = a.size(1);
  parallel_for(weight.size(0), [&](int64_t row) {
    std::vector<float> delta(size_t(in), 0.f);
    for (int64_t r = 0; r < rank; ++r) {
      const float factor = b.data<float>()[row * rank + r];
      const float* line = a.data<float>() + r * in;
      for (int64_t i = 0; i < in; ++i) delta[size_t(i)] += factor * line[i];
    }
    float* out = sum.data<float>() + row * in;
    for (int64_t i = 0; i < in; ++i) out[i] += float(lora.scale) * delta[size_t(i)];
  });
  return cast(sum, weight.dtype());
}

}  // namespace

void merge_lora(Llama& model, const LoraAdapter& adapter) {
  std::map<std::string, Parameter*> parameters;
  for (const auto& [path, parameter] : parameters_of(model)) parameters[path] = parameter;
  std::string wrong;
  for (const auto& [path, lora] : adapter.modules) {
    const auto found = parameters.find(path + ".weight");
    if (found == parameters.end())
      wrong += concat(wrong.empty() ? "" : ", ", printable(path), " (not in this model)");
    else if (const Shape wanted{lora.b.size(0), lora.a.size(1)}; found->second->shape() != wanted)
      wrong += concat(wrong.empty() ? "" : ", ", printable(path), " (the model's is ", found->second->shape(),
                      ", the adapter's ", wanted, ")");
  }
  require<ConfigError>(wrong.empty(), "LoRA: does not fit this model: ", wrong);
  for (const auto& [path, lora] : adapter.modules) {
    Parameter& weight = *parameters.at(path + ".weight");
    weight.set_frozen(merged(weight.value(), lora), path + ".weight");
  }
}

}  // namespace dehvf
