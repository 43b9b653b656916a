#include "cuda/vendor/cublaslt.h"

#include <optional>
#include <string>

#include <dlfcn.h>

#include "cuda/check.h"

namespace dehvf::cuda {
namespace {

std::optional<CublasLt> opened() {
  const std::string name = concat("libcublasLt.so.", CUBLAS_VER_MAJOR);
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open until the program ends
  if (!library) return {};
  CublasLt table{};
  bool complete = true;
  const auto find = [&]<class Function>(Function& function, const char* symbol) {
    function = reinterpret_cast<Function>(dlsym(library, symbol));
    complete = complete && function;
  };
  find(table.create, "cublasLtCreate");
  find(table.matmul, "cublasLtMatmul");
  find(table.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(table.make_operation, "cublasLtMatmulDescCreate");
  find(table.drop_operation, "cublasLtMatmulDescDestroy");
  find(table.set_operation, "cublasLtMatmulDescSetAttribute");
  find(table.make_layout, "cublasLtMatrixLayoutCreate");
  find(table.drop_layout, "cublasLtMatrixLayoutDestroy");
  find(table.set_layout, "cublasLtMatrixLayoutSetAttribute");
  find(table.make_preference, "cublasLtMatmulPreferenceCreate");
  find(table.drop_preference, "cublasLtMatmulPreferenceDestroy");
  find(table.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  find(table.status_name, "cublasLtGetStatusName");
  if (!complete) return {};
  return table;
}

}  // namespace

const CublasLt* CublasLt::instance() {
  static const std::optional<CublasLt> table = opened();
  return table ? &*table : nullptr;
}

void CublasLt::check(cublasStatus_t status, std::string_view call) const {
  require<CudaError>(status == CUBLAS_STATUS_SUCCESS, "cublaslt: ", call, ": ", status_name(status), " (",
                     int(status), ")");
}

}  // namespace dehvf::cuda
