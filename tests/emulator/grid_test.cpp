// Indices, order, barriers and shared memory of the emulated device.
#include <atomic>
#include <numeric>

#include <gtest/gtest.h>

#include "cuda/launch.cuh"
#include "cuda/shared.cuh"
#include "support/message.h"

namespace dehvf::cuda {
namespace {

using simt::KernelFault;

void start(dim3 grid, dim3 block, size_t shared, const std::function<void()>& body) {
  simt::run_grid({"probe", std::source_location::current(), grid, block, shared}, body);
}

TEST(EmulatedGrid, EveryThreadKnowsItsPlace) {
  const dim3 grid(3, 2, 5), block(7, 3, 2);
  std::vector<int> seen(30 * 42);
  start(grid, block, 0, [&] {
    const int b = int(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
    const int t = int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
    EXPECT_EQ(gridDim.z, 5u);
    ++seen[size_t(b * 42 + t)];
  });
  EXPECT_EQ(seen, std::vector<int>(30 * 42, 1));
}

struct Line {
  int of_thread[100];
};

__global__ void reverse_kernel(const int* in, int* out) {
  Line& line = shared<Line>();
  int* const other = dynamic_shared<int>();
  const int i = int(threadIdx.x), n = int(blockDim.x), first = int(blockIdx.x) * n;
  for (int round = 0; round < 3; ++round) {
    line.of_thread[i] = in[first + i];
    other[n - 1 - i] = in[first + i];
    __syncthreads();
    out[first + i] = line.of_thread[n - 1 - i] - other[i];
    out[first + i] += line.of_thread[n - 1 - i];
    __syncthreads();
  }
}

TEST(EmulatedGrid, BarriersMakeSharedMemoryVisible) {
  for (int threads : {1, 31, 32, 33, 100}) {
    const int blocks = 9;
    std::vector<int> in(size_t(blocks * threads)), out(in.size());
    std::iota(in.begin(), in.end(), 1);
    launch({"reverse"}, dim3(unsigned(blocks)), dim3(unsigned(threads)), sizeof(int) * size_t(threads), {},
           reverse_kernel, in.data(), out.data());
    for (int b = 0; b < blocks; ++b)
      for (int i = 0; i < threads; ++i)
        EXPECT_EQ(out[size_t(b * threads + i)], in[size_t(b * threads + threads - 1 - i)]);
  }
}

TEST(EmulatedGrid, SharedMemoryBeginsAsNan) {
  start(5, 3, 64, [] {
    EXPECT_TRUE(std::isnan(dynamic_shared<float>()[threadIdx.x]));
    dynamic_shared<float>()[threadIdx.x] = 1;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(dynamic_shared<float>()) % 1024, 0u);
  });
}

TEST(EmulatedGrid, BarriersCountVotes) {
  start(2, 77, 0, [] {
    const int i = int(threadIdx.x);
    EXPECT_EQ(__syncthreads_count(i % 3 == 0), 26);
    EXPECT_EQ(__syncthreads_count(i % 5), 61);
    EXPECT_TRUE(__syncthreads_or(i == 76));
    EXPECT_FALSE(__syncthreads_or(0));
    EXPECT_TRUE(__syncthreads_and(2));
    EXPECT_FALSE(__syncthreads_and(i != 40));
  });
}

// A warp that fills, one that empties, one that has nothing to do with them.
TEST(EmulatedGrid, NamedBarriersHandOver) {
  std::vector<int> got;
  start(1, 96, sizeof(int), [&] {
    int* const slot = dynamic_shared<int>();
    for (int round = 0; round < 5; ++round) {
      if (threadIdx.x < 32) {
        if (threadIdx.x == 0) *slot = round;
        simt::named_barrier_arrive({"full", Where::current()}, 1, 64);
        simt::named_barrier_sync({"empty", Where::current()}, 2, 64);
      } else if (threadIdx.x < 64) {
        simt::named_barrier_sync({"full", Where::current()}, 1, 64);
        if (threadIdx.x == 32) got.push_back(*slot);
        simt::named_barrier_arrive({"empty", Where::current()}, 2, 64);
      }
    }
    __syncthreads();
  });
  EXPECT_EQ(got, (std::vector{0, 1, 2, 3, 4}));
}

// As many blocks as multiprocessors may wait for each other, one more may not.
TEST(EmulatedGrid, HoldsFourBlocksAtATime) {
  const auto meet = [](unsigned blocks) {
    int arrived = 0;
    start(blocks, 1, 0, [&] {
      atomicAdd(&arrived, 1);
      while (atomicAdd(&arrived, 0) < int(blocks)) {
      }
    });
  };
  meet(4);
  EXPECT_NE(message_of<KernelFault>([&] { meet(5); }).find("other blocks wait for a multiprocessor"),
            std::string::npos);
}

TEST(EmulatedGrid, RefusesWhatNoGpuLaunches) {
  const auto refused = [](dim3 grid, dim3 block, size_t shared) {
    return message_of<KernelFault>([&] { start(grid, block, shared, [] {}); });
  };
  EXPECT_EQ(refused(1, dim3(33, 32), 0).substr(0, 84),
            "probe: wanted blocks of 1 to 1024 threads, z at most 64, found (33, 32, 1), launched");
  EXPECT_NE(refused(1, dim3(1, 1, 65), 0).find("found (1, 1, 65)"), std::string::npos);
  EXPECT_NE(refused(1, 0, 0).find("found (0, 1, 1)"), std::string::npos);
  EXPECT_NE(refused(dim3(1, 65536), 1, 0).find("found (1, 65536, 1)"), std::string::npos);
  EXPECT_NE(refused(1, 1, (227 << 10) + 1).find("shared memory, found 232449"), std::string::npos);
}

TEST(EmulatedGrid, AThreadsExceptionEndsTheLaunch) {
  std::atomic<int> ended = 0;
  struct Counted {
    std::atomic<int>& count;
    ~Counted() { ++count; }
  };
  EXPECT_EQ(message_of<ShapeError>([&] {
              start(3, 40, 0, [&] {
                const Counted counted{ended};
                if (blockIdx.x == 1 && threadIdx.x == 39) fail<ShapeError>("by hand");
                __syncthreads();
              });
            }),
            "by hand");
  EXPECT_GE(ended, 80);  // no stack was left as it stood
  start(1, 40, 0, [] { __syncthreads(); });
}

}  // namespace
}  // namespace dehvf::cuda
