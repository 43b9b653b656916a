// Recorded work: nothing is done while it is recorded, and all of it whenever it is replayed.
#include <cstring>

#include <gmock/gmock.h>

#include "core/device_report.h"
#include "core/ops/elementwise.h"
#include "core/ops/matmul.h"
#include "core/random.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

class GraphTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (!has_device(GetParam())) GTEST_SKIP() << cuda_report();
    if (!backend(GetParam()).can_capture()) GTEST_SKIP() << "launches wait for their kernels";
  }
  Tensor ones(const Shape& shape) const { return full(shape, 1, DType::f32, GetParam()); }
  void replay(Graph& graph) const { graph.replay(current_stream(GetParam())); }
};

TEST_P(GraphTest, DoesItsWorkWhenReplayedAndEveryTime) {
  const Tensor x = ones({3, 5}), sum = zeros({3, 5}, DType::f32, GetParam());
  const auto graph = capture(GetParam(), [&] { add_into(x, sum); });
  EXPECT_EQ(item(sum[2][4]), 0);
  for (int i = 1; i <= 3; ++i) {
    replay(*graph);
    EXPECT_EQ(item(sum[2][4]), i);
  }
  copy_into(full({3, 5}, 10), x);
  replay(*graph);
  EXPECT_EQ(item(sum[0][0]), 13);
}

// Products, copies, fills and uploads between memory that comes and goes: as it is done at once, bit for bit.
TEST_P(GraphTest, OfAChainIsTheChain) {
  const Tensor x = random_normal({37, 19}, 1, 5).to(GetParam()), out({37, 19}, DType::f32, GetParam());
  const auto chain = [&] {
    Tensor y = x;
    for (int i = 0; i < 4; ++i) {
      const Tensor weight = random_normal({19, 19}, 0.3, uint64_t(i)).to(GetParam());  // uploaded
      const Tensor product = matmul(y, weight), cleared = zeros({37, 19}, DType::f32, GetParam());
      add_into(product, cleared);
      y = add(cleared.clone(), full({37, 19}, i, DType::f32, GetParam()));
    }
    copy_into(y, out);
  };
  chain();
  const Tensor want = out.to(kCpu);
  const size_t held = backend(GetParam()).bytes_in_use();
  const auto graph = capture(GetParam(), chain);
  EXPECT_EQ(backend(GetParam()).bytes_in_use(), held);
  EXPECT_GT(backend(GetParam()).memory().now()[size_t(Purpose::recorded)], 0u);
  for (int i = 0; i < 2; ++i) {
    fill(out, 0);
    replay(*graph);
    const Tensor found = out.to(kCpu);
    EXPECT_EQ(std::memcmp(found.raw(), want.raw(), want.bytes()), 0);
  }
}

// What was made while recording and outlives it keeps its place, graph or no graph.
TEST_P(GraphTest, KeepsWhatOutlivesTheRecording) {
  const Tensor x = ones({70});
  const auto booked = backend(GetParam()).memory().now();
  {
    Tensor made;
    auto first = capture(GetParam(), [&] { made = add(x, x); });
    const auto second = capture(GetParam(), [&] { add(add(x, x), x); });
    replay(*first);
    replay(*second);
    first.reset();
    EXPECT_EQ(item(made[69]), 2);
  }
  EXPECT_EQ(backend(GetParam()).memory().now(), booked);  // and none is left
}

TEST_P(GraphTest, RefusesToReadBack) {
  const Tensor x = ones({3});
  EXPECT_THAT(message_of<DeviceError>([&] { capture(GetParam(), [&] { item(x[0]); }); }),
              HasSubstr("4 bytes wanted on the host while work is recorded"));
  const auto inside = [&] { capture(GetParam(), [] {}); };
  EXPECT_THAT(message_of<DeviceError>([&] { capture(GetParam(), inside); }),
              HasSubstr("work is being recorded already"));
  EXPECT_EQ(item(add(x, x)[0]), 2);  // at once again
}

TEST_P(GraphTest, ABodyThatThrowsLeavesNothing) {
  const Tensor x = ones({3});
  const auto broken = [&] {
    add_into(x, x);
    fail<ConfigError>("no");
  };
  EXPECT_THROW(capture(GetParam(), broken), ConfigError);
  EXPECT_EQ(item(x[0]), 1);
  const auto graph = capture(GetParam(), [&] { add_into(x, x); });
  replay(*graph);
  EXPECT_EQ(item(x[0]), 2);
}

TEST(Capture, IsRefusedWhereNothingCanRecord) {
  EXPECT_FALSE(backend(kCpu).can_capture());
  EXPECT_THAT(message_of<DeviceError>([] { capture(kCpu, [] {}); }),
              HasSubstr("cpu: work cannot be recorded"));
}

INSTANTIATE_TEST_SUITE_P(Devices, GraphTest,
                         testing::Values(Device{DeviceKind::emulator, 0}, Device{DeviceKind::cuda, 0}),
                         [](const auto& info) { return std::string(info.index ? "cuda" : "emulator"); });

}  // namespace
}  // namespace dehvf
