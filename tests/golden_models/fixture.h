// Models with the weights of golden fixtures.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "layers/batch.h"
#include "layers/module.h"
#include "support/golden.h"

namespace dehvf {

using Tensors = std::map<std::string, Tensor>;

/// Gives every parameter of `module` its tensor, cast to `dtype`; others in `tensors` are left alone.
inline void load_from(Module& module, const Tensors& tensors, DType dtype, bool trainable) {
  load_parameters(
      module,
      [&](const std::string& path, const Shape& shape) {
        const auto found = tensors.find(path);
        require<IoError>(found != tensors.end(), path, ": not in the fixture");
        return cast(found->second, dtype).reshape(shape);
      },
      trainable);
}

/// The rows [begin, begin + count) of the outermost axis, as f64.
inline Tensor rows_of(const Tensor& tensor, int64_t begin, int64_t count) {
  return cast(tensor.slice(begin, begin + count), DType::f64);
}

}  // namespace dehvf
