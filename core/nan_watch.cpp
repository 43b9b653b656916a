#include "core/nan_watch.h"

#include <cmath>

#include "core/phase.h"

namespace dehvf {
namespace {
thread_local NanWatch* current_watch = nullptr;
}

NanWatch::NanWatch() : outer_(current_watch) { current_watch = this; }
NanWatch::~NanWatch() { current_watch = outer_; }
NanWatch* NanWatch::current() { return current_watch; }

void NanWatch::look(std::string_view kernel, int argument, const Tensor& tensor,
                    bool minus_infinity_is_meant) const {
  if (!tensor.defined() || !is_float(tensor.dtype())) return;
  const Tensor host = tensor.to(kCpu);
  visit_float(host.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto elements = host.span<T>();
    for (size_t i = 0; i < elements.size(); ++i) {
      const double value = double(Compute<T>(elements[i]));
      if (std::isfinite(value) || (minus_infinity_is_meant && value < 0)) continue;
      const std::string path = Phase::path();
      fail<Error>("find_nan: the first value that is not finite showed behind kernel '", kernel, "' on ",
                  tensor.device(), ": ", value, " at element ", i, " of its tensor ", argument, ", ",
                  tensor.dtype(), ' ', tensor.shape(), path.empty() ? "" : "; in " + path);
    }
  });
}

}  // namespace dehvf
