// cuDNN by a table of its functions: the library is opened by the first attention that wants it, so that
// programs start fast and run without it.
#pragma once

#include <string_view>

#include <cudnn_graph.h>

namespace dehvf::cuda {

struct Cudnn {
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) make;
  decltype(&cudnnBackendDestroyDescriptor) drop;
  decltype(&cudnnBackendSetAttribute) set;
  decltype(&cudnnBackendGetAttribute) get;
  decltype(&cudnnBackendFinalize) finish;
  decltype(&cudnnBackendExecute) execute;
  decltype(&cudnnGetErrorString) status_name;
  decltype(&cudnnGetLastErrorString) last_error;

  /// Null where there is no library, or one older than this was built with.
  static const Cudnn* instance();
  /// Throws CudaError: what, call, the status by name and number, and what the library adds to it.
  void check(cudnnStatus_t status, std::string_view what, std::string_view call) const;
};

/// The library understands, but has nothing for it.
inline bool unsupported(cudnnStatus_t status) {
  return CUDNN_STATUS_CATEGORY(int(status)) == CUDNN_STATUS_NOT_SUPPORTED;
}

}  // namespace dehvf::cuda
