#include "core/nan_watch.h"

#include <cmath>

#include <gmock/gmock.h>

#include "core/ops/attention.h"
#include "core/ops/elementwise.h"
#include "core/phase.h"
#include "support/message.h"

namespace dehvf {
namespace {

using testing::HasSubstr;

TEST(NanWatchTest, NamesKernelElementAndPhase) {
  const NanWatch watch;
  const Phase step("step"), layer("block 7");
  const Tensor a = full({2, 3}, 2), b = full({2, 3}, 3);
  EXPECT_NO_THROW(multiply(a, b));
  b.data<float>()[4] = INFINITY;
  EXPECT_EQ(
      message_of<Error>([&] { multiply(a, b); }),
      "find_nan: the first value that is not finite showed behind kernel 'multiply' on cpu: inf at element 4 "
      "of its tensor 2, f32 [2, 3]; in step > block 7");
}

TEST(NanWatchTest, SeesWhatWasBorn) {
  const NanWatch watch;
  const Tensor x = full({3}, 3e38);
  const std::string message = message_of<Error>([&] { scale(x, 2); });
  EXPECT_THAT(message, HasSubstr("kernel 'scale'"));
  EXPECT_THAT(message, HasSubstr("tensor 3"));
}

TEST(NanWatchTest, MemoryThatWasNeverWrittenIsNotBlamed) {
  const NanWatch watch;
  const Tensor unwritten({4}, DType::f32);
  EXPECT_NO_THROW(add(unwritten, unwritten));
}

TEST(NanWatchTest, ARowThatSeesNoKeyIsMeant) {
  const NanWatch watch;
  const Tensor q = full({2, 1, 4}, 1);
  const Tensor spans = tensor_of(std::vector<int32_t>{0, 2, 0, 1}).reshape({1, 4});
  const auto attend = [&] { return attention(q, q, q, spans, {.causal = true}); };  // the first sees nothing
  EXPECT_EQ(attend().lse.data<float>()[0], -INFINITY);
  q.data<float>()[0] = NAN;
  EXPECT_THAT(message_of<Error>(attend), HasSubstr("kernel 'attention'"));
}

TEST(NanWatchTest, EndsWithItsScope) {
  { const NanWatch watch; }
  const Tensor x = full({1}, NAN);
  EXPECT_NO_THROW(scale(x, 2));
}

}  // namespace
}  // namespace dehvf
