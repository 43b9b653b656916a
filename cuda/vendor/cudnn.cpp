#include "cuda/vendor/cudnn.h"

#include <algorithm>
#include <optional>
#include <string>

#include <dlfcn.h>

#include "cuda/check.h"

namespace dehvf::cuda {
namespace {

std::optional<Cudnn> opened() {
  const std::string name = concat("libcudnn.so.", CUDNN_MAJOR);
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open until the program ends
  if (!library) return {};
  Cudnn table{};
  bool complete = true;
  const auto find = [&]<class Function>(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    complete = complete && function;
  };
  find(table.version, "cudnnGetVersion");
  find(table.create, "cudnnCreate");
  find(table.set_stream, "cudnnSetStream");
  find(table.make, "cudnnBackendCreateDescriptor");
  find(table.drop, "cudnnBackendDestroyDescriptor");
  find(table.set, "cudnnBackendSetAttribute");
  find(table.get, "cudnnBackendGetAttribute");
  find(table.finish, "cudnnBackendFinalize");
  find(table.execute, "cudnnBackendExecute");
  find(table.status_name, "cudnnGetErrorString");
  find(table.last_error, "cudnnGetLastErrorString");
  if (!complete || table.version() < CUDNN_VERSION) return {};
  return table;
}

}  // namespace

const Cudnn* Cudnn::instance() {
  static const std::optional<Cudnn> table = opened();
  return table ? &*table : nullptr;
}

void Cudnn::check(cudnnStatus_t status, std::string_view what, std::string_view call) const {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  char text[512] = "";
  last_error(text, sizeof text);
  std::string reason = text;
  std::ranges::replace(reason, '\n', ' ');
  fail<CudaError>(what, ": ", call, ": ", status_name(status), " (", int(status), ")",
                  reason.empty() ? "" : ", ", reason);
}

}  // namespace dehvf::cuda
