// c = alpha op(a) op(b) (+ added) by cuBLASLt, in f32 accumulation; its best algorithm by its own estimate,
// asked once for every kind of product. Of an epilogue it does a residual alone.
#include <map>
#include <mutex>
#include <tuple>

#include "cuda/check.h"
#include "cuda/kernels/matmul.h"
#include "cuda/vendor/column_major.h"
#include "cuda/vendor/cublaslt.h"

namespace dehvf::cuda {
namespace {

constexpr size_t kWorkspace = size_t(32) << 20;

// What an algorithm is chosen by.
struct Kind {
  int device;
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b, adds;
  DType operands, out;
  uint32_t align_a, align_b, align_c;
  friend auto operator<=>(const Kind&, const Kind&) = default;
};

cudaDataType_t type_of(DType dtype) {
  return dtype == DType::f32 ? CUDA_R_32F : dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F;
}

bool supports(const Tensor& a, const Tensor& b, const Tensor& c, int64_t k) {
  const bool known = a.dtype() == DType::f32 || a.dtype() == DType::bf16 || a.dtype() == DType::f16;
  return known && a.dtype() == b.dtype() && (c.dtype() == a.dtype() || c.dtype() == DType::f32) && k > 0 &&
         CublasLt::instance();
}

// The descriptors of one kind of product, and the algorithm for it.
class Plan {
 public:
  Plan(const CublasLt& lt, cublasLtHandle_t handle, const Kind& kind) : lt_(lt) {
    const ColumnProduct product = column_major(kind.m, kind.n, kind.k, kind.transpose_a, kind.transpose_b);
    lt.check(lt.make_operation(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    set_operation(CUBLASLT_MATMUL_DESC_TRANSA, product.left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set_operation(CUBLASLT_MATMUL_DESC_TRANSB, product.right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    left_ = layout(product.left, kind.operands, kind.batch);
    right_ = layout(product.right, kind.operands, kind.batch);
    out_ = layout(product.out, kind.out, kind.batch);
    found_ = choose(handle, kind);
  }
  ~Plan() {
    for (cublasLtMatrixLayout_t layout : {left_, right_, out_}) lt_.drop_layout(layout);
    lt_.drop_operation(operation_);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  bool found() const { return found_; }

  void run(cublasLtHandle_t handle, const Tensor& a, const Tensor& b, const Tensor& added, const Tensor& c,
           float alpha, const Stream& stream) const {
    const float beta = added ? 1 : 0;
    Tensor workspace;
    if (choice_.workspaceSize > 0)
      workspace = Tensor({int64_t(choice_.workspaceSize)}, DType::u8, stream.device);
    lt_.check(lt_.matmul(handle, operation_, &alpha, b.raw(), left_, a.raw(), right_, &beta,
                         added ? added.raw() : c.raw(), out_, c.raw(), out_, &choice_.algo,
                         workspace ? workspace.raw() : nullptr, choice_.workspaceSize, native(stream)),
              "cublasLtMatmul");
  }

 private:
  void set_operation(cublasLtMatmulDescAttributes_t attribute, cublasOperation_t value) {
    lt_.check(lt_.set_operation(operation_, attribute, &value, sizeof value),
              "cublasLtMatmulDescSetAttribute");
  }

  cublasLtMatrixLayout_t layout(const ColumnMajor& matrix, DType dtype, int64_t batch) {
    cublasLtMatrixLayout_t made = nullptr;
    lt_.check(
        lt_.make_layout(&made, type_of(dtype), uint64_t(matrix.rows), uint64_t(matrix.columns), matrix.ld),
        "cublasLtMatrixLayoutCreate");
    const auto count = int32_t(batch);
    const int64_t stride = matrix.rows * matrix.columns;
    lt_.check(lt_.set_layout(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "batch count");
    lt_.check(lt_.set_layout(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
              "batch stride");
    return made;
  }

  // No algorithm that adds up in the output's dtype.
  bool choose(cublasLtHandle_t handle, const Kind& kind) {
    cublasLtMatmulPreference_t wishes = nullptr;
    lt_.check(lt_.make_preference(&wishes), "cublasLtMatmulPreferenceCreate");
    const auto wish = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      lt_.check(lt_.set_preference(wishes, attribute, &value, sizeof value),
                "cublasLtMatmulPreferenceSetAttribute");
    };
    wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t(kWorkspace));
    wish(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kind.align_b);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kind.align_a);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kind.align_c);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kind.align_c);
    int count = 0;
    const cublasStatus_t status =
        lt_.heuristic(handle, operation_, left_, right_, out_, out_, wishes, 1, &choice_, &count);
    lt_.drop_preference(wishes);
    return status == CUBLAS_STATUS_SUCCESS && count > 0;
  }

  const CublasLt& lt_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t left_ = nullptr, right_ = nullptr, out_ = nullptr;
  cublasLtMatmulHeuristicResult_t choice_{};
  bool found_ = false;
};

// The handles of the devices and the plans made so far; they live as long as the program.
class Plans {
 public:
  static Plans& instance() {
    static auto* const plans = new Plans;  // the driver may be gone before a destructor would run
    return *plans;
  }

  std::pair<cublasLtHandle_t, const Plan*> of(const CublasLt& lt, const Kind& kind) {
    const std::lock_guard lock(mutex_);
    cublasLtHandle_t& handle = handles_[kind.device];
    if (!handle) lt.check(lt.create(&handle), "cublasLtCreate");
    auto found = plans_.find(kind);
    if (found == plans_.end()) found = plans_.try_emplace(kind, lt, handle, kind).first;
    return {handle, &found->second};
  }

 private:
  std::mutex mutex_;
  std::map<int, cublasLtHandle_t> handles_;
  std::map<Kind, Plan> plans_;
};

// c = alpha a b (+ added); false where the library cannot.
bool multiply(const Tensor& a, const Tensor& b, const Tensor& added, const Tensor& c,
              const MatmulOptions& options) {
  const int64_t k = a.size(options.transpose_a ? -2 : -1);
  if (!supports(a, b, c, k)) return false;
  const Stream stream = current_stream(c.device());
  cuda::check(cudaSetDevice(stream.device.index), "matmul");
  const uint32_t align_c = alignment_of(c.raw());
  const Kind kind{stream.device.index,
                  c.shape().rank() == 3 ? c.size(0) : 1,
                  c.size(-2),
                  c.size(-1),
                  k,
                  options.transpose_a,
                  options.transpose_b,
                  added.defined(),
                  a.dtype(),
                  c.dtype(),
                  alignment_of(a.raw()),
                  alignment_of(b.raw()),
                  added ? std::min(align_c, alignment_of(added.raw())) : align_c};
  const auto [handle, plan] = Plans::instance().of(*CublasLt::instance(), kind);
  if (plan->found()) plan->run(handle, a, b, added, c, float(options.alpha), stream);
  return plan->found();
}

// What the library cannot do goes to the portable kernel.
void matmul_cublaslt(const Tensor& a, const Tensor& b, const Tensor& c, const MatmulOptions& options) {
  if (c.count() == 0 || multiply(a, b, options.accumulate ? c : Tensor(), c, options)) return;
  Registry<Matmul>::instance().find({DeviceKind::cuda})(a, b, c, options);
}

void add_up(const std::vector<ProductTerm>& terms, double alpha, const Tensor& added, ProductOrder order,
            const Tensor& sum) {
  const auto& [a, b] = terms[0];
  MatmulOptions options{.transpose_a = order.transpose_a, .transpose_b = order.transpose_b, .alpha = alpha};
  if (!multiply(a, b, added, sum, options)) {
    const ProductOutput one{{{a, b}}, sum, {.scale = alpha, .residual = added}};
    Registry<Product>::instance().find({DeviceKind::cuda})({&one, 1}, order);
  }
  options.accumulate = true;
  for (size_t i = 1; i < terms.size(); ++i) matmul_cublaslt(terms[i].a, terms[i].b, sum, options);
}

// One product a term, each rounded to c's dtype; then an epilogue on those sums, which wait where a result of
// the same element will stand.
void product_cublaslt(std::span<const ProductOutput> outputs, ProductOrder order) {
  for (const ProductOutput& output : outputs) {
    const auto& [terms, c, epilogue] = output;
    if (c.count() == 0) continue;
    const auto& [scale, bias, activation, times, residual, before, factor] = epilogue;
    if (!bias && !activation && times.empty() && !before) {
      add_up(terms, scale, residual, order, c);
      continue;
    }
    const auto room = [&] { return Tensor(c.shape(), c.dtype(), c.device()); };
    const Tensor sum = before ? before : residual ? room() : c;
    add_up(terms, 1, {}, order, sum);
    const Tensor factors = times.empty() ? Tensor() : factor ? factor : room();
    if (factors) add_up(times, 1, {}, order, factors);
    finish_product(sum, factors, output);
  }
}

const Provide<Matmul> provide_matmul{{DeviceKind::cuda, "cublaslt"}, matmul_cublaslt};
const Provide<Product> provide_product{{DeviceKind::cuda, "cublaslt"}, product_cublaslt};

}  // namespace
}  // namespace dehvf::cuda
