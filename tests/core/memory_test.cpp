#include "core/memory.h"

#include <gmock/gmock.h>

#include "core/kernel.h"
#include "core/ops/matmul.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

size_t held(Purpose purpose) { return backend(kCpu).memory().now()[size_t(purpose)]; }

struct Scratch : KernelTag<Scratch, void(int64_t bytes, size_t& seen)> {
  static constexpr std::string_view name = "memory_test_scratch";
};
const Provide<Scratch> scratch{{DeviceKind::cpu}, [](int64_t bytes, size_t& seen) {
                                 const Tensor workspace({bytes}, DType::u8);
                                 seen = held(Purpose::workspaces);
                               }};

TEST(Memory, IsBookedByPurpose) {
  const size_t before = held(Purpose::weights), activations = held(Purpose::activations);
  {
    Tensor weights, more;
    {
      const PurposeScope scope(Purpose::weights);
      weights = Tensor({1000}, DType::u8);
      more = weights.slice(0, 10);  // a view is not booked
    }
    const Tensor activation({24}, DType::u8);
    EXPECT_EQ(held(Purpose::weights), before + 1000);
    EXPECT_EQ(held(Purpose::activations), activations + 24);
  }
  EXPECT_EQ(held(Purpose::weights), before);
  EXPECT_EQ(held(Purpose::activations), activations);
}

TEST(Memory, WhatAKernelAllocatesIsAWorkspace) {
  const size_t before = held(Purpose::workspaces);
  size_t seen = 0;
  run<Scratch>(DeviceKind::cpu, 77, seen);
  EXPECT_EQ(seen, before + 77);
  EXPECT_EQ(held(Purpose::workspaces), before);
}

TEST(Memory, ThePeakIsOfOneMoment) {
  MemoryLedger ledger;
  ledger.add(Purpose::weights, 100);
  ledger.add(Purpose::activations, 50);
  ledger.remove(Purpose::activations, 50);
  ledger.add(Purpose::caches, 40);
  EXPECT_EQ(describe(ledger.at_peak()), "weights 100 B, activations 50 B");
  EXPECT_EQ(describe(ledger.now()), "weights 100 B, caches 40 B");
  ledger.add(Purpose::caches, 3 << 20);
  EXPECT_EQ(describe(ledger.now()), "caches 3.0 MiB, weights 100 B");
  EXPECT_EQ(describe(MemoryLedger::Table{}), "nothing");
}

TEST(Memory, WhoHoldsWhatStandsInTheError) {
  MemoryLedger& ledger = backend(kCpu).memory();
  const PurposeScope scope(Purpose::parameters);
  const Tensor parameters({5000}, DType::u8);
  size_t in_all = 0;
  for (size_t bytes : ledger.now()) in_all += bytes;
  ledger.set_limit(in_all + 4096);
  const std::string message = message_of<OutOfMemory>([] { Tensor({4097}, DType::u8); });
  EXPECT_NO_THROW(Tensor({4096}, DType::u8));
  ledger.set_limit(0);
  EXPECT_THAT(message, HasSubstr("cpu: out of memory, 4097 bytes wanted"));
  EXPECT_THAT(message, HasSubstr("held: "));
  EXPECT_THAT(message, HasSubstr("parameters 4.8 KiB"));
  EXPECT_NO_THROW(Tensor({4097}, DType::u8));
}

}  // namespace
}  // namespace dehvf
