// dehvf check-operator: what it prints, and how it ends.
#include <gmock/gmock.h>

#include "cli/commands.h"
#include "core/io/json.h"
#include "layers/fusion/operator.h"
#include "support/message.h"

namespace dehvf::cli {
namespace {

using ::testing::HasSubstr;

// Looks at the tower and does nothing with it.
class Idle : public FusionOperator {
 public:
  TowerNeeds tower() const override { return {.levels = {1}}; }
};

std::unique_ptr<FusionOperator> make_idle(const FusionShapes&, FusionConfig&) {
  return std::make_unique<Idle>();
}

struct CheckOperatorTest : testing::Test {
  static void SetUpTestSuite() { Registry<Fusion>::instance().provide("idle", make_idle); }
  static std::string complaint(std::vector<std::string> words) {
    words.insert(words.begin(), "check-operator");
    return message_of<ConfigError>([&] { run_command(add_check_operator, words); });
  }
};

TEST_F(CheckOperatorTest, EndsWellWhereAllHolds) {
  const std::string text = run_command(add_check_operator, {"check-operator", "memvp", "fusion.lambda=0.5"});
  EXPECT_THAT(text, HasSubstr("gradients          ok "));
  EXPECT_THAT(text, Not(HasSubstr("FAILED")));
}

TEST_F(CheckOperatorTest, SaysWhatFailed) {
  testing::internal::CaptureStdout();
  EXPECT_THAT(message_of<Error>([] {
                CLI::App program;
                Action chosen;
                add_check_operator(program, chosen);
                program.parse(std::vector<std::string>{"idle", "check-operator"});
                chosen();
              }),
              HasSubstr("checks failed"));
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_THAT(text, HasSubstr("neutral            FAILED"));
  EXPECT_THAT(text, HasSubstr("neutral() gives neither settings nor a reason"));
  EXPECT_THAT(text, HasSubstr("other pixels changed nothing in sample 0"));
  EXPECT_THAT(text, HasSubstr("unknown_keys       ok "));
}

TEST_F(CheckOperatorTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(complaint({"memvpp"}), HasSubstr("memvp"));
  EXPECT_THAT(complaint({"memvp", "lambda=1"}), HasSubstr("wanted fusion.KEY=VALUE, found 'lambda=1'"));
  EXPECT_THAT(complaint({"memvp", "fusion.colour=1"}), HasSubstr("fusion.colour"));
}

}  // namespace
}  // namespace dehvf::cli
