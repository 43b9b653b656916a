#include "cuda/vendor/cudnn_graph.h"

#include <algorithm>

#include "cuda/check.h"

namespace dehvf::cuda {
namespace {

constexpr int64_t kMostWorkspace = int64_t(1) << 30;  // bytes
constexpr int64_t kMostEngines = 16, kMostNotes = CUDNN_NUMERICAL_NOTE_TYPE_COUNT;

CudnnDims row_major(const CudnnDims& dims) {
  return {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
}

CudnnDescriptor descriptor_of(const CudnnDevice& device, const CudnnScope& scope) {
  CudnnDescriptor made(scope, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  if (const int* index = std::get_if<int>(&device)) {
    made.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, int32_t(*index));
  } else {
    const std::string& json = std::get<std::string>(device);
    made.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, int64_t(json.size() + 1),
             json.c_str());
  }
  made.finish();
  return made;
}

bool repeats(const CudnnScope& scope, const CudnnDescriptor& config) {
  const CudnnDescriptor engine(scope, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
  cudnnBackendNumericalNote_t notes[kMostNotes];
  const int64_t count =
      engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, kMostNotes, notes);
  return std::find(notes, notes + count, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) == notes + count;
}

}  // namespace

CudnnDescriptor::CudnnDescriptor(const CudnnScope& scope, cudnnBackendDescriptorType_t type)
    : scope_(&scope) {
  scope.cudnn.check(scope.cudnn.make(type, &raw_), scope.what,
                    concat("cudnnBackendCreateDescriptor ", int(type)));
}

CudnnDescriptor::~CudnnDescriptor() {
  if (raw_) scope_->cudnn.drop(raw_);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                          const void* values) const {
  const cudnnStatus_t status = scope_->cudnn.set(raw_, name, type, count, values);
  if (status != CUDNN_STATUS_SUCCESS)
    scope_->cudnn.check(status, scope_->what, concat("cudnnBackendSetAttribute ", int(name)));
}

int64_t CudnnDescriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                             int64_t count, void* values) const {
  int64_t found = 0;
  scope_->cudnn.check(scope_->cudnn.get(raw_, name, type, count, &found, values), scope_->what,
                      concat("cudnnBackendGetAttribute ", int(name)));
  return std::min(found, count);
}

void CudnnDescriptor::finish() const {
  scope_->cudnn.check(scope_->cudnn.finish(raw_), scope_->what, "cudnnBackendFinalize");
}

bool CudnnDescriptor::try_finish() const {
  const cudnnStatus_t status = scope_->cudnn.finish(raw_);
  if (unsupported(status)) return false;
  scope_->cudnn.check(status, scope_->what, "cudnnBackendFinalize");
  return true;
}

TensorId CudnnGraph::add(cudnnDataType_t type, const CudnnDims& dims, const CudnnDims& strides, bool inner,
                         bool constant, std::optional<TensorId> offsets) {
  CudnnDescriptor raw(scope_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const TensorId id = TensorId(tensors_.size()) + 1;
  raw.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  raw.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, int64_t(dims.size()), dims.data());
  raw.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, int64_t(strides.size()), strides.data());
  raw.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  raw.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kCudnnAlignment);
  raw.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, inner);
  raw.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, constant);
  if (offsets) raw.set(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, at(*offsets).raw);
  raw.finish();
  tensors_.push_back({dims, strides, type, std::move(raw)});
  return id;
}

TensorId CudnnGraph::outer(cudnnDataType_t type, const CudnnDims& dims, const CudnnDims& strides,
                           std::optional<TensorId> offsets) {
  return add(type, dims, strides, false, false, offsets);
}

TensorId CudnnGraph::constant() { return add(CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true, {}); }

TensorId CudnnGraph::inner(cudnnDataType_t type, const CudnnDims& dims) {
  return add(type, dims, row_major(dims), true, false, {});
}

TensorId CudnnGraph::reshape(TensorId x, const CudnnDims& dims, const CudnnDims& strides,
                             cudnnDataType_t type, std::optional<TensorId> offsets) {
  const TensorId y = add(type, dims, strides, true, false, offsets);
  CudnnDescriptor operation(scope_, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, at(x).raw);
  operation.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, at(y).raw);
  operation.finish();
  operations_.push_back(std::move(operation));
  return y;
}

void CudnnGraph::operate(cudnnPointwiseMode_t mode, cudnnDataType_t computed, int64_t axis, TensorId x,
                         std::optional<TensorId> b, std::optional<TensorId> condition, TensorId y) {
  CudnnDescriptor pointwise(scope_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  pointwise.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  pointwise.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, computed);
  if (mode == CUDNN_POINTWISE_GEN_INDEX) pointwise.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
  pointwise.finish();
  CudnnDescriptor operation(scope_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(x).raw);
  if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(*b).raw);
  if (condition) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, at(*condition).raw);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(y).raw);
  operation.finish();
  parts_.push_back(std::move(pointwise));
  operations_.push_back(std::move(operation));
}

TensorId CudnnGraph::pointwise(cudnnPointwiseMode_t mode, TensorId x, std::optional<TensorId> b,
                               std::optional<TensorId> condition, cudnnDataType_t type) {
  const TensorId y = inner(type, at(x).dims);
  operate(mode, type, 0, x, b, condition, y);
  return y;
}

void CudnnGraph::pointwise_into(cudnnPointwiseMode_t mode, TensorId x, std::optional<TensorId> b,
                                TensorId y) {
  operate(mode, CUDNN_DATA_FLOAT, 0, x, b, {}, y);
}

TensorId CudnnGraph::index(TensorId like, int64_t axis) {
  const TensorId y = inner(CUDNN_DATA_INT32, at(like).dims);
  operate(CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis, like, {}, {}, y);
  return y;
}

TensorId CudnnGraph::reduce(cudnnReduceTensorOp_t operation, TensorId x) {
  CudnnDims dims = at(x).dims;
  dims.back() = 1;
  const TensorId y = inner(CUDNN_DATA_FLOAT, dims);
  reduce_into(operation, x, y);
  return y;
}

void CudnnGraph::reduce_into(cudnnReduceTensorOp_t operation, TensorId x, TensorId y) {
  CudnnDescriptor reduction(scope_, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  reduction.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, operation);
  reduction.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  reduction.finish();
  CudnnDescriptor made(scope_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, reduction);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(x).raw);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(y).raw);
  made.finish();
  parts_.push_back(std::move(reduction));
  operations_.push_back(std::move(made));
}

void CudnnGraph::multiply(TensorId a, TensorId b, TensorId out, const Extents& extents) {
  CudnnDescriptor product(scope_, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  product.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  product.finish();
  CudnnDescriptor operation(scope_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, product);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(a).raw);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(b).raw);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(out).raw);
  const auto extent = [&](cudnnBackendAttributeName_t name, const std::optional<TensorId>& id) {
    if (id) operation.set(name, at(*id).raw);
  };
  extent(CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, extents.rows);
  extent(CUDNN_ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, extents.columns);
  extent(CUDNN_ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, extents.depth);
  operation.finish();
  parts_.push_back(std::move(product));
  operations_.push_back(std::move(operation));
}

std::optional<CudnnPlan> CudnnGraph::plan(const CudnnDevice& device) const {
  const CudnnDescriptor properties = descriptor_of(device, scope_);
  std::vector<cudnnBackendDescriptor_t> operations;
  for (const CudnnDescriptor& operation : operations_) operations.push_back(operation.raw());
  const CudnnDescriptor graph(scope_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(operations.size()),
            operations.data());
  if (!graph.try_finish()) return {};
  const CudnnDescriptor estimate(scope_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  estimate.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  estimate.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  estimate.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties);
  if (!estimate.try_finish()) return {};
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < kMostEngines; ++i) {
    configs.emplace_back(scope_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(configs.back().raw());
  }
  const int64_t found =
      estimate.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, kMostEngines, raw.data());
  for (int64_t i = 0; i < found; ++i) {
    if (!repeats(scope_, configs[size_t(i)])) continue;
    CudnnDescriptor plan(scope_, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs[size_t(i)]);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties);
    if (!plan.try_finish()) continue;
    int64_t workspace = 0;
    plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
    if (workspace <= kMostWorkspace) return CudnnPlan{std::move(plan), workspace};
  }
  return {};
}

void CudnnPlan::run(const CudnnScope& scope, cudnnHandle_t handle, const CudnnArguments& arguments,
                    void* workspace_data) const {
  std::vector<int64_t> ids;
  std::vector<const void*> data;
  for (const auto& [id, at] : arguments) {
    ids.push_back(id);
    data.push_back(at);
  }
  const CudnnDescriptor pack(scope, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, int64_t(ids.size()), ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, int64_t(data.size()), data.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace_data);
  pack.finish();
  scope.cudnn.check(scope.cudnn.execute(handle, raw.raw(), pack.raw()), scope.what, "cudnnBackendExecute");
}

}  // namespace dehvf::cuda
