#include "core/registry.h"

#include <set>

#include <gmock/gmock.h>

#include "core/kernel.h"
#include "core/ops/fuser.h"
#include "core/ops/matmul.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Greeting {
  using Key = std::string;
  using Entry = int (*)();
  static constexpr std::string_view name = "greeting";
};
const Provide<Greeting> provide_hello{"hello", [] { return 1; }};
const Provide<Greeting> provide_bye{"bye", [] { return 2; }};

TEST(Registry, FindsWhatWasProvided) {
  EXPECT_EQ(Registry<Greeting>::instance().find("hello")(), 1);
  EXPECT_THAT(Registry<Greeting>::instance().keys(), ElementsAre("bye", "hello"));
}

TEST(Registry, AnUnknownKeyIsAnsweredWithTheKnownOnes) {
  EXPECT_EQ(message_of<Error>([] { Registry<Greeting>::instance().find("hey"); }),
            "greeting: nothing provided for hey; known: bye, hello");
  EXPECT_THROW(Registry<Greeting>::instance().find("hey"), ConfigError);
}

TEST(Registry, AKeyGivenTwiceIsRefused) {
  EXPECT_EQ(message_of<Error>([] { Provide<Greeting>("bye", [] { return 3; }); }),
            "greeting: provided twice for bye");
  EXPECT_EQ(Registry<Greeting>::instance().find("bye")(), 2);
}

// But for the fuser in one op, which the CPU composes of others (layers/fusion/fuser.h).
TEST(Kernels, EveryTagHasACpuEntry) {
  std::set<std::string> tags, on_cpu;
  for (const auto& [tag, key] : kernel_catalog()) {
    if (tag != FuserForward::name && tag != FuserBackward::name) tags.insert(tag);
    if (key.device == DeviceKind::cpu && key.variant.empty()) on_cpu.insert(tag);
  }
  EXPECT_THAT(tags, testing::Contains("matmul"));  // the objects were linked at all
  EXPECT_EQ(tags, on_cpu);
}

TEST(Kernels, NoTwoTagsShareAName) {
  std::set<std::string> seen;
  for (const auto& [tag, key] : kernel_catalog())
    EXPECT_TRUE(seen.insert(concat(tag, " on ", key)).second) << tag << " on " << key;
}

TEST(Kernels, AMissingOneNamesDeviceAndOp) {
  EXPECT_THAT(message_of<Error>([] {
                Registry<Matmul>::instance().find({DeviceKind::cpu, "none"});
              }),
              HasSubstr("matmul: nothing provided for cpu/none; known: cpu"));
}

TEST(Trace, SeesCallsAndProductsOfTheInnermostScope) {
  const Tensor a = zeros({3, 5}), b = zeros({5, 7});
  Trace outer;
  matmul(a, b);
  {
    Trace inner;
    matmul(a, b);
    matmul(a, b);
    EXPECT_EQ(inner.lines.at("matmul").calls, 2);
    EXPECT_EQ(inner.lines.at("matmul").flops, 2 * 2.0 * 3 * 5 * 7);
  }
  ASSERT_EQ(outer.products.size(), 1u);
  EXPECT_EQ(outer.products[0].n, 7);
  EXPECT_EQ(Trace::current(), &outer);
}

}  // namespace
}  // namespace dehvf
