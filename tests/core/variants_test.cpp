#include "core/variants.h"

#include <gmock/gmock.h>

#include "core/kernel.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Answer : KernelTag<Answer, void(int size, std::string& by)> {
  static constexpr std::string_view name = "variants_test_answer";
};
struct OnlySmall : KernelTag<OnlySmall, void(int size, std::string& by)> {
  static constexpr std::string_view name = "variants_test_only_small";
};

const Provide<Answer> own{{DeviceKind::cpu}, [](int, std::string& by) { by = "own"; }};
const Provide<Answer> naive{{DeviceKind::cpu, "naive"}, [](int, std::string& by) { by = "naive"; }};
const Provide<Answer> vendor{
    {DeviceKind::cpu, "cudnn"},
    {[](int, std::string& by) { by = "cudnn"; }, [](int size, std::string&) { return size % 8 == 0; }}};
const Provide<OnlySmall> small{{DeviceKind::cpu},
                               {[](int, std::string&) {}, [](int size, std::string&) { return size < 8; }}};

std::string who(int size) {
  std::string by;
  run<Answer>(DeviceKind::cpu, size, by);
  return by;
}

class VariantsTest : public testing::Test {
 protected:
  ~VariantsTest() override { Variants<Answer>::prefer(""); }
};

TEST_F(VariantsTest, AVendorAnswersWhatItCanDo) {
  take_kernel_notes();
  EXPECT_EQ(who(16), "cudnn");
  EXPECT_THAT(take_kernel_notes(), IsEmpty());
  EXPECT_EQ(who(7), "own");
  EXPECT_EQ(who(9), "own");
  EXPECT_THAT(take_kernel_notes(),
              ElementsAre("variants_test_answer on cpu: variant cudnn does not take some shapes; the default "
                          "answers those"));
}

TEST_F(VariantsTest, TheChosenOneIsAskedFirst) {
  choose_variant("variants_test_answer", "naive");
  EXPECT_EQ(who(16), "naive");
  choose_variant("variants_test_answer", "own");
  EXPECT_EQ(who(16), "own");
  choose_variant("variants_test_answer", "cudnn");
  EXPECT_EQ(who(16), "cudnn");
  EXPECT_EQ(who(15), "own");
}

TEST_F(VariantsTest, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_THAT(message_of<ConfigError>([] { choose_variant("variants_test_answr", "naive"); }),
              HasSubstr("did you mean 'variants_test_answer'?"));
  EXPECT_EQ(message_of<ConfigError>([] { choose_variant("variants_test_answer", "cublas"); }),
            "kernels.variants_test_answer: no variant 'cublas'; known here: own, cudnn, naive");
}

TEST_F(VariantsTest, WhatNoneTakesIsAnError) {
  std::string by;
  EXPECT_NO_THROW(run<OnlySmall>(DeviceKind::cpu, 3, by));
  EXPECT_EQ(message_of<ConfigError>([&] { run<OnlySmall>(DeviceKind::cpu, 8, by); }),
            "variants_test_only_small on cpu: none of its variants takes these shapes");
  EXPECT_THAT(message_of<ConfigError>([&] { run<OnlySmall>(DeviceKind::cuda, 8, by); }),
              HasSubstr("nothing provided for cuda; known: cpu"));
}

}  // namespace
}  // namespace dehvf
