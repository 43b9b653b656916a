// cuBLASLt by a table of its functions: the library (hundreds of MB) is opened by the first product that
// wants it, so that programs start fast and run without it.
#pragma once

#include <string_view>

#include <cublasLt.h>

namespace dehvf::cuda {

struct CublasLt {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmulDescCreate) make_operation;
  decltype(&cublasLtMatmulDescDestroy) drop_operation;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation;
  decltype(&cublasLtMatrixLayoutCreate) make_layout;
  decltype(&cublasLtMatrixLayoutDestroy) drop_layout;
  decltype(&cublasLtMatrixLayoutSetAttribute) set_layout;
  decltype(&cublasLtMatmulPreferenceCreate) make_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) drop_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtGetStatusName) status_name;

  /// Null where there is no library of the version this was built with.
  static const CublasLt* instance();
  void check(cublasStatus_t status, std::string_view call) const;  // throws CudaError
};

}  // namespace dehvf::cuda
