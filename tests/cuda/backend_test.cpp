// What every Backend promises, on the CPU and, where there is one, on the GPU.
#include <cstring>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "core/device_report.h"
#include "core/random.h"
#include "core/tensor.h"
#include "support/message.h"

namespace dehvf {
namespace {

class BackendTest : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    if (!has_device(GetParam())) GTEST_SKIP() << cuda_report();
  }
  Backend& here() { return backend(GetParam()); }
};

TEST_P(BackendTest, CountsAndAlignsWhatItHands) {
  const size_t before = here().bytes_in_use();
  void* const first = here().allocate(1001, {GetParam()});
  void* const second = here().allocate(0, {GetParam()});
  EXPECT_NE(second, nullptr);
  for (void* data : {first, second}) EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 256, 0u);
  EXPECT_EQ(here().bytes_in_use(), before + 1001);
  EXPECT_GE(here().peak_bytes(), before + 1001);
  here().free(first, 1001, {GetParam()});
  here().free(second, 0, {GetParam()});
  EXPECT_EQ(here().bytes_in_use(), before);
}

TEST_P(BackendTest, CopiesThereAndBack) {
  for (int64_t count : {0, 1, 255, 100003}) {
    const Tensor x = random_normal({count}, 1, uint64_t(count));
    const Tensor back = x.to(GetParam()).clone().to(kCpu);
    EXPECT_TRUE(count == 0 || std::memcmp(back.raw(), x.raw(), x.bytes()) == 0) << count;
  }
  const Tensor sevens = full({13}, 7, DType::bf16, GetParam());
  EXPECT_EQ(item(sevens[12]), 7);
}

TEST_P(BackendTest, PoisonsNewMemory) {
  EXPECT_TRUE(std::isnan(item(Tensor(Shape{1}, DType::f32, GetParam()))));
}

TEST_P(BackendTest, RefusesToCopyBetweenStrangers) {
  char byte = 0;
  EXPECT_THROW(here().copy(&byte, {DeviceKind::emulator, 0}, &byte, kCpu, 1, {GetParam()}), DeviceError);
}

// A chain over two streams, pinned memory in and out, events in between; handles outlive their use.
TEST_P(BackendTest, EventsOrderTheWorkOfTwoStreams) {
  constexpr size_t kBytes = size_t(8) << 20;
  const Stream one = here().make_stream(), two = here().make_stream();
  auto* const in = static_cast<unsigned char*>(here().allocate_pinned(kBytes));
  auto* const out = static_cast<unsigned char*>(here().allocate_pinned(kBytes));
  void* const data = here().allocate(kBytes, one);
  std::vector<Event> kept;
  for (int round = 1; round <= 5; ++round) {
    std::memset(in, round, kBytes);
    here().copy(data, GetParam(), in, kCpu, kBytes, one);
    kept.push_back(here().record(one));
    here().wait(two, kept.back());
    here().copy(out, kCpu, data, GetParam(), kBytes, two);
    here().fill_bytes(data, 0, kBytes, two);
    const Event cleared = here().record(two);
    here().wait(one, cleared);
    here().synchronize(two);
    EXPECT_EQ(out[0], round);
    EXPECT_EQ(out[kBytes - 1], round);
  }
  here().synchronize(one);
  here().free(data, kBytes, one);
  here().free_pinned(in, kBytes);
  here().free_pinned(out, kBytes);
}

TEST_P(BackendTest, ServesSeveralThreads) {
  std::vector<int> sums(4);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < sums.size(); ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) sums[t] += int(item(full({1}, int(t) + 1, DType::f32, GetParam())));
      });
  }
  EXPECT_EQ(sums, (std::vector{50, 100, 150, 200}));
}

INSTANTIATE_TEST_SUITE_P(Devices, BackendTest, testing::Values(kCpu, Device{DeviceKind::cuda, 0}),
                         [](const auto& info) { return concat(info.param.kind); });

TEST(CudaMemory, SaysWhatWasWantedWhenItIsOut) {
  const Device device{DeviceKind::cuda, 0};
  if (!has_device(device)) GTEST_SKIP() << cuda_report();
  const std::string message =
      message_of<DeviceError>([&] { Tensor(Shape{int64_t(1) << 50}, DType::f32, device); });
  EXPECT_NE(message.find("cuda:0: out of memory, 4503599627370496 bytes wanted"), std::string::npos)
      << message;
  EXPECT_EQ(item(full({1}, 3, DType::f32, device)), 3);  // and goes on
}

}  // namespace
}  // namespace dehvf
