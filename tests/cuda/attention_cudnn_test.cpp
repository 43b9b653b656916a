// What cuDNN is told of attention, by a table of functions that keeps it, and what the library itself says of
// it, as far as that goes without a GPU.
#include "cuda/vendor/attention_cudnn.h"

#include <cmath>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/check.h"
#include "fake_cudnn.h"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;
using Descriptor = FakeCudnn::Descriptor;
using Shape4 = std::vector<int64_t>;

AttentionKind kind_of(bool backward, bool causal = true, int64_t kv_heads = 2) {
  return {.backward = backward,
          .causal = causal,
          .dtype = DType::bf16,
          .spans = 3,
          .q_bound = 192,
          .k_bound = 256,
          .heads = 4,
          .kv_heads = kv_heads,
          .dim = 72};
}

// A byte for every argument: nothing is computed, but what lies where it should not is seen.
enum Place { q, k, v, out, lse, q_counts, k_counts, q_offsets, k_offsets, dout, sums, dq, dk, dv, workspace };
struct Memory {
  char bytes[workspace + 1];
  AttentionData data(bool backward) const {
    AttentionData data{.q = &bytes[q],
                       .k = &bytes[k],
                       .v = &bytes[v],
                       .out = &bytes[out],
                       .lse = &bytes[lse],
                       .q_counts = &bytes[q_counts],
                       .k_counts = &bytes[k_counts],
                       .q_offsets = &bytes[q_offsets],
                       .k_offsets = &bytes[k_offsets],
                       .scale = 0.375f};
    if (backward) data.backward = {&bytes[dout], &bytes[sums], &bytes[dq], &bytes[dk], &bytes[dv]};
    return data;
  }
};

// A plan by the fake, run once.
class Described : public FakeCudnn {
 public:
  explicit Described(const AttentionKind& kind) : plan_(table, kind, 0) {
    const AttentionData data = memory_.data(kind.backward);
    plan_.run(nullptr, data, &memory_.bytes[workspace]);
    for (const Descriptor* tensor : of(CUDNN_BACKEND_TENSOR_DESCRIPTOR)) {
      const auto bound = executions.at(0).data.find(tensor->one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID));
      const bool outer = !tensor->one<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL);
      EXPECT_EQ(bound != executions[0].data.end(), outer) << "data of an inner tensor, or none of an outer";
      if (!outer) continue;
      tensors_[bound->second] = tensor;
      if (tensor->one<bool>(CUDNN_ATTR_TENSOR_IS_BY_VALUE))
        constants.push_back(*static_cast<const float*>(bound->second));
    }
    EXPECT_EQ(executions[0].workspace, &memory_.bytes[workspace]);
  }

  const Descriptor& at(Place place) const { return *tensors_.at(&memory_.bytes[place]); }
  /// Dimensions and strides of what lies there, and where the samples begin, if that differs.
  void expect(Place place, cudnnDataType_t type, const Shape4& dims, const Shape4& strides,
              std::optional<Place> offsets = {}) const {
    const Descriptor& tensor = at(place);
    EXPECT_EQ(tensor.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE), type) << place;
    EXPECT_EQ(tensor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), dims) << place;
    EXPECT_EQ(tensor.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES), strides) << place;
    ASSERT_EQ(tensor.has(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC), offsets.has_value()) << place;
    if (offsets) EXPECT_EQ(&tensor.child(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC), &at(*offsets)) << place;
  }
  void expect_inputs() const {
    for (const Place list : {q_counts, k_counts}) expect(list, CUDNN_DATA_INT32, {3, 1, 1, 1}, {1, 1, 1, 1});
    for (const Place list : {q_offsets, k_offsets})
      expect(list, CUDNN_DATA_INT64, {4, 1, 1, 1}, {1, 1, 1, 1});
    for (const Place rows : {q, out})
      expect(rows, CUDNN_DATA_BFLOAT16, {3, 4, 192, 72}, {192 * 288, 72, 288, 1}, q_offsets);
    expect(k, CUDNN_DATA_BFLOAT16, {3, 2, 72, 256}, {256 * 144, 72, 1, 144}, k_offsets);
    expect(lse, CUDNN_DATA_FLOAT, {3, 4, 192, 1}, {768, 192, 1, 1});
  }
  std::vector<cudnnPointwiseMode_t> pointwise() const {  // in order
    std::vector<cudnnPointwiseMode_t> modes;
    for (const Descriptor* operation : of(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR))
      modes.push_back(operation->child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
                          .one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE));
    return modes;
  }
  const Descriptor& product(size_t i) const { return *of(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR).at(i); }

  std::vector<float> constants;

 private:
  Memory memory_{};
  AttentionPlan plan_;
  std::map<const void*, const Descriptor*> tensors_;
};

void expect_product(const Descriptor& product, const Descriptor* a, const Descriptor* b,
                    const Descriptor* result, std::array<const Descriptor*, 3> extents) {
  if (a) EXPECT_EQ(&product.child(CUDNN_ATTR_OPERATION_MATMUL_ADESC), a);
  if (b) EXPECT_EQ(&product.child(CUDNN_ATTR_OPERATION_MATMUL_BDESC), b);
  if (result) EXPECT_EQ(&product.child(CUDNN_ATTR_OPERATION_MATMUL_CDESC), result);
  for (int i = 0; i < 3; ++i) {
    const int name = CUDNN_ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC + i;
    EXPECT_EQ(product.has(name) ? &product.child(name) : nullptr, extents[size_t(i)]) << "extent " << i;
  }
}

TEST(AttentionCudnn, ForwardIsDescribed) {
  const Described d(kind_of(false));
  d.expect_inputs();
  d.expect(v, CUDNN_DATA_BFLOAT16, {3, 2, 256, 72}, {256 * 144, 72, 144, 1}, k_offsets);
  EXPECT_THAT(d.constants, UnorderedElementsAre(0.375f, -INFINITY));
  expect_product(d.product(0), &d.at(q), &d.at(k), nullptr, {&d.at(q_counts), &d.at(k_counts), nullptr});
  expect_product(d.product(1), nullptr, &d.at(v), &d.at(out), {&d.at(q_counts), nullptr, &d.at(k_counts)});
  EXPECT_THAT(d.pointwise(),
              ElementsAre(CUDNN_POINTWISE_MUL,  // by the scale
                          CUDNN_POINTWISE_GEN_INDEX, CUDNN_POINTWISE_GEN_INDEX, CUDNN_POINTWISE_CMP_LT,
                          CUDNN_POINTWISE_CMP_LT, CUDNN_POINTWISE_LOGICAL_AND, CUDNN_POINTWISE_BINARY_SELECT,
                          CUDNN_POINTWISE_GEN_INDEX, CUDNN_POINTWISE_GEN_INDEX, CUDNN_POINTWISE_ADD,
                          CUDNN_POINTWISE_SUB, CUDNN_POINTWISE_CMP_GE, CUDNN_POINTWISE_BINARY_SELECT,
                          CUDNN_POINTWISE_SUB, CUDNN_POINTWISE_EXP, CUDNN_POINTWISE_LOG, CUDNN_POINTWISE_ADD,
                          CUDNN_POINTWISE_DIV));
  const auto operations = d.of(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  EXPECT_EQ(&operations[9]->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), &d.at(k_counts));
  EXPECT_EQ(&operations[10]->child(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), &d.at(q_counts));
  EXPECT_EQ(&operations[16]->child(CUDNN_ATTR_OPERATION_POINTWISE_YDESC), &d.at(lse));
  EXPECT_EQ(operations[2]
                ->child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)
                .one<int64_t>(CUDNN_ATTR_POINTWISE_AXIS),
            3);
}

TEST(AttentionCudnn, WithoutAMaskOnlyPaddingIsHidden) {
  const Described d(kind_of(false, false));
  EXPECT_EQ(std::ranges::count(d.pointwise(), CUDNN_POINTWISE_BINARY_SELECT), 1);
}

TEST(AttentionCudnn, BackwardIsDescribed) {
  for (const int64_t kv_heads : {2, 4}) {
    const Described d(kind_of(true, true, kv_heads));
    const int64_t row = kv_heads * 72;
    if (kv_heads == 2) d.expect_inputs();
    d.expect(v, CUDNN_DATA_BFLOAT16, {3, kv_heads, 72, 256}, {256 * row, 72, 1, row}, k_offsets);
    for (const Place rows : {dout, dq})
      d.expect(rows, CUDNN_DATA_BFLOAT16, {3, 4, 192, 72}, {192 * 288, 72, 288, 1}, q_offsets);
    for (const Place rows : {dk, dv})
      d.expect(rows, CUDNN_DATA_BFLOAT16, {3, kv_heads, 256, 72}, {256 * row, 72, row, 1}, k_offsets);
    d.expect(sums, CUDNN_DATA_FLOAT, {3, 4, 192, 1}, {768, 192, 1, 1});
    EXPECT_THAT(d.constants, UnorderedElementsAre(0.375f, -INFINITY, 1.0f));
    const bool grouped = kv_heads < 4;
    const std::array by_keys{&d.at(k_counts), static_cast<const Descriptor*>(nullptr), &d.at(q_counts)};
    expect_product(d.product(0), &d.at(q), &d.at(k), nullptr, {&d.at(q_counts), &d.at(k_counts), nullptr});
    expect_product(d.product(1), nullptr, &d.at(dout), grouped ? nullptr : &d.at(dv), by_keys);
    expect_product(d.product(2), &d.at(dout), &d.at(v), nullptr, {&d.at(q_counts), &d.at(k_counts), nullptr});
    expect_product(d.product(3), nullptr, &d.at(q), grouped ? nullptr : &d.at(dk), by_keys);
    expect_product(d.product(4), nullptr, nullptr, &d.at(dq), {&d.at(q_counts), nullptr, &d.at(k_counts)});
    const auto sums_of = d.of(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    ASSERT_EQ(sums_of.size(), grouped ? 3u : 1u);
    if (!grouped) continue;
    EXPECT_EQ(&sums_of[1]->child(CUDNN_ATTR_OPERATION_REDUCTION_YDESC), &d.at(dv));
    EXPECT_EQ(&sums_of[2]->child(CUDNN_ATTR_OPERATION_REDUCTION_YDESC), &d.at(dk));
  }
}

TEST(AttentionCudnn, EveryFailureIsOneLineAndLeavesNothing) {
  for (const bool backward : {false, true}) {
    FakeCudnn fake;
    const Memory memory{};
    const auto attend = [&] {
      const AttentionPlan plan(fake.table, kind_of(backward), 0);
      plan.run(nullptr, memory.data(backward), nullptr);
    };
    attend();
    const int calls = fake.calls();
    EXPECT_EQ(fake.alive(), 0u);
    for (int call = 0; call < calls; ++call) {
      fake.fail(call, CUDNN_STATUS_INTERNAL_ERROR);
      ASSERT_THAT(message_of<CudaError>(attend),
                  testing::MatchesRegex(std::string(backward ? "attention_backward" : "attention") +
                                        " by cudnn: 3 spans of up to 192 queries and 256 keys, heads 4/2, "
                                        "dim 72, bf16, causal: cudnnBackend[A-Za-z]+.*: "
                                        "CUDNN_STATUS_OF_A_FAKE \\(4000\\), two lines"))
          << call;
      ASSERT_EQ(fake.alive(), 0u) << call;
    }
  }
}

TEST(AttentionCudnn, DeclinesWhatTheLibraryHasNothingFor) {
  for (const auto type : {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
                          CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR}) {
    FakeCudnn fake;
    fake.at_finish[type] = CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
    EXPECT_FALSE(AttentionPlan(fake.table, kind_of(false), 0).found()) << type;
  }
  FakeCudnn fake;
  fake.engines = {};
  EXPECT_FALSE(AttentionPlan(fake.table, kind_of(false), 0).found());
}

TEST(AttentionCudnn, TakesTheFirstEngineThatRepeatsItsResultsInLittleMemory) {
  FakeCudnn fake;
  fake.engines = {{.notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}},
                  {.workspace = (int64_t(1) << 30) + 1},
                  {.workspace = 4096, .notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}},
                  {.workspace = 8}};
  const AttentionPlan plan(fake.table, kind_of(true), 0);
  ASSERT_TRUE(plan.found());
  EXPECT_EQ(plan.workspace(), 4096);
}

TEST(AttentionCudnn, PlansAndHandlesAreMadeOnce) {
  FakeCudnn fake;
  AttentionPlans plans(fake.table);
  const AttentionPlan& first = plans.plan(0, kind_of(false));
  const int calls = fake.calls();
  EXPECT_EQ(&plans.plan(0, kind_of(false)), &first);
  EXPECT_EQ(fake.calls(), calls);
  EXPECT_NE(&plans.plan(0, kind_of(false, false)), &first);
  EXPECT_NE(&plans.plan(1, kind_of(false)), &first);
  const Memory memory{};
  int streams[2];
  for (int& stream : streams)
    plans.run(first, 0, reinterpret_cast<cudaStream_t>(&stream), memory.data(false), nullptr);
  EXPECT_EQ(fake.handles, 1);
  ASSERT_EQ(fake.executions.size(), 2u);
  EXPECT_EQ(fake.executions[0].stream, &streams[0]);
  EXPECT_EQ(fake.executions[1].stream, &streams[1]);
}

TEST(AttentionCudnn, KnowsWhatIsForTheLibrary) {
  const auto rows = [](int64_t count, int64_t dim = 64, DType dtype = DType::f16) {
    return Tensor({count, 2, dim}, dtype);
  };
  const Tensor one({1, 4}, DType::i32), two({2, 4}, DType::i32), none({0, 4}, DType::i32);
  const AttentionOptions options{.causal = true};
  const auto taken = [&](const Tensor& x, const Tensor& y, const Tensor& spans) {
    return attention_kind(x, y, spans, options, {y}).has_value();
  };
  EXPECT_TRUE(taken(rows(5), rows(7), two));
  EXPECT_TRUE(taken(rows(5, 64, DType::bf16), rows(7, 64, DType::bf16), two));
  EXPECT_FALSE(taken(rows(5, 64, DType::f32), rows(7, 64, DType::f32), two));
  EXPECT_FALSE(taken(rows(5, 20), rows(7, 20), two));
  EXPECT_FALSE(taken(rows(0), rows(7), two));
  EXPECT_FALSE(taken(rows(5), rows(0), two));
  EXPECT_FALSE(taken(rows(5), rows(7), none));
  const Tensor shifted = Tensor({1 + 7 * 2 * 64}, DType::f16).slice(1, 1 + 7 * 2 * 64).reshape({7, 2, 64});
  EXPECT_FALSE(taken(rows(5), shifted, two));
  EXPECT_FALSE(taken(shifted, rows(5), two));

  const auto many_taken = [&](int64_t longest) {
    return attention_kind(rows(2000, 8), rows(7, 8), Tensor({400, 4}, DType::i32), {.longest = longest}, {})
        .has_value();
  };
  EXPECT_TRUE(many_taken(5));
  EXPECT_FALSE(many_taken(0));

  const auto grads_taken = [&](const Tensor& spans, bool own_keys, const AttentionGrads& grads) {
    return attention_backward_kind(rows(5), rows(7), spans, {.own_keys = own_keys}, {}, grads).has_value();
  };
  EXPECT_TRUE(grads_taken(one, false, {}));
  EXPECT_FALSE(grads_taken(two, false, {})) << "two spans may share keys";
  EXPECT_TRUE(grads_taken(two, true, {rows(5), {}, rows(7)}));
  EXPECT_FALSE(grads_taken(two, true, {{}, shifted, {}}));
}

TEST(AttentionCudnn, BoundsAreRoundedUpByAnEighthAtMost) {
  const Tensor spans({3, 4}, DType::i32), k({5000, 1, 8}, DType::f16);
  int plans = 0;
  for (int64_t rows = 1, last = 0; rows <= 1100; rows += 3) {
    const auto kind = attention_kind(Tensor({rows, 1, 8}, DType::f16), k, spans, {.longest = 600}, {});
    EXPECT_EQ(kind->k_bound, 640);
    EXPECT_GE(kind->q_bound, std::min<int64_t>(rows, 600));
    EXPECT_LE(kind->q_bound, std::max<int64_t>(rows + rows / 8, rows + 63));
    plans += kind->q_bound != std::exchange(last, kind->q_bound);
  }
  EXPECT_LE(plans, 12);
}

// An H100, as the library describes one.
constexpr const char* kH100 =
    R"({"deviceVer":900,"driverVer":13000,"cudaDeviceId":0,"maxGridSize":[2147483647,65535,65535],)"
    R"("maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"multiProcessorCount":132,"warpSize":32,)"
    R"("maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,)"
    R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,)"
    R"("supportCoopLaunch":1,"smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800,)"
    R"("totalGlobalMem":85000000000,"deviceName":"NVIDIA H100 80GB HBM3"})";

// The library matches the operations, finds an engine of the device for them, compiles it, and only then
// misses the driver, for which the toolkit's stub stands in. In a process of its own, without a driver.
TEST(AttentionCudnn, TheLibraryItselfCompilesIt) {
  if (!Cudnn::instance()) GTEST_SKIP() << "no cuDNN of this version or newer";
  if (dlopen("libcuda.so.1", RTLD_NOW)) GTEST_SKIP() << "there is a driver: the kernels' tests run it";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto compiled = [](const AttentionKind& kind) {
    dlopen(DEHVF_CUDA_STUBS "/libcuda.so", RTLD_NOW | RTLD_GLOBAL);
    const std::string message =
        message_of<CudaError>([&] { AttentionPlan(*Cudnn::instance(), kind, std::string(kH100)); });
    std::fprintf(stderr, "%s\n", message.c_str());
    std::exit(0);
  };
  for (const bool backward : {false, true})
    for (const bool causal : {false, true})
      EXPECT_EXIT(compiled(kind_of(backward, causal)), testing::ExitedWithCode(0), "cuLibraryLoadData")
          << backward << causal;
}

}  // namespace
}  // namespace dehvf::cuda
