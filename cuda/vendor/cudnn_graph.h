// Operations of cuDNN, described one after the other, and the plan that runs them all at once.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cuda/vendor/cudnn.h"

namespace dehvf::cuda {

/// Whose errors these are: "attention of 2 spans, ...".
struct CudnnScope {
  const Cudnn& cudnn;
  std::string what;
};

/// Destroyed with its owner. The scope must outlive it.
class CudnnDescriptor {
 public:
  CudnnDescriptor(const CudnnScope& scope, cudnnBackendDescriptorType_t type);
  CudnnDescriptor(CudnnDescriptor&& other) noexcept
      : scope_(other.scope_), raw_(std::exchange(other.raw_, nullptr)) {}
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
    std::swap(scope_, other.scope_);
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~CudnnDescriptor();

  const cudnnBackendDescriptor_t& raw() const { return raw_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values) const;
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) const {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other) const {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.raw());
  }
  /// How many of at most `count` values there were.
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
              void* values) const;
  void finish() const;
  bool try_finish() const;  // false where the library has nothing for it

 private:
  const CudnnScope* scope_;
  cudnnBackendDescriptor_t raw_ = nullptr;
};

/// What plans are made for: a device's index, or cuDNN's own JSON of one that is not here.
using CudnnDevice = std::variant<int, std::string>;

using CudnnDims = std::array<int64_t, 4>;
using TensorId = int64_t;
inline constexpr int64_t kCudnnAlignment = 16;  // of every outer tensor, in bytes

/// Where the data of a graph's outer tensors lie; those of constants on the host.
using CudnnArguments = std::vector<std::pair<TensorId, const void*>>;

struct CudnnPlan {
  CudnnDescriptor raw;
  int64_t workspace;  // bytes

  void run(const CudnnScope& scope, cudnnHandle_t handle, const CudnnArguments& arguments,
           void* workspace_data) const;
};

class CudnnGraph {
 public:
  explicit CudnnGraph(const CudnnScope& scope) : scope_(scope) {}

  /// In the caller's memory. `offsets`, of i64 [dims[0] + 1], says where each of the first dimension begins,
  /// in elements.
  TensorId outer(cudnnDataType_t type, const CudnnDims& dims, const CudnnDims& strides,
                 std::optional<TensorId> offsets = {});
  TensorId constant();  // one f32, on the host
  /// Row-major, never in memory.
  TensorId inner(cudnnDataType_t type, const CudnnDims& dims);
  /// The same elements by other dimensions and strides, never in memory.
  TensorId reshape(TensorId x, const CudnnDims& dims, const CudnnDims& strides, cudnnDataType_t type,
                   std::optional<TensorId> offsets = {});

  /// b and the condition may be missing. The result is like x, but of `type`.
  TensorId pointwise(cudnnPointwiseMode_t mode, TensorId x, std::optional<TensorId> b = {},
                     std::optional<TensorId> condition = {}, cudnnDataType_t type = CUDNN_DATA_FLOAT);
  void pointwise_into(cudnnPointwiseMode_t mode, TensorId x, std::optional<TensorId> b, TensorId y);
  TensorId index(TensorId like, int64_t axis);                   // i32
  TensorId reduce(cudnnReduceTensorOp_t operation, TensorId x);  // over the last dimension
  void reduce_into(cudnnReduceTensorOp_t operation, TensorId x, TensorId y);

  struct Extents {  // of a and b, where a sample has fewer than the dimensions say: i32 [samples, 1, 1, 1]
    std::optional<TensorId> rows, columns, depth;
  };
  void multiply(TensorId a, TensorId b, TensorId out, const Extents& extents);

  /// The fastest by the library's own estimate that repeats its results bit for bit and needs no more than
  /// 1 GiB of workspace; none where there is none.
  std::optional<CudnnPlan> plan(const CudnnDevice& device) const;

 private:
  struct Tensor {
    CudnnDims dims, strides;
    cudnnDataType_t type;
    CudnnDescriptor raw;
  };
  TensorId add(cudnnDataType_t type, const CudnnDims& dims, const CudnnDims& strides, bool inner,
               bool constant, std::optional<TensorId> offsets);
  const Tensor& at(TensorId id) const { return tensors_[size_t(id) - 1]; }
  void operate(cudnnPointwiseMode_t mode, cudnnDataType_t computed, int64_t axis, TensorId x,
               std::optional<TensorId> b, std::optional<TensorId> condition, TensorId y);

  const CudnnScope& scope_;
  std::vector<Tensor> tensors_;  // by id, from 1
  std::vector<CudnnDescriptor> parts_, operations_;
};

}  // namespace dehvf::cuda
