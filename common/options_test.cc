#include "common/options.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/exit_codes.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A program with one of each.
class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    program_ = {
        .name = "vmsilo-test",
        .man_section = 8,
        .summary = "Test the option table",
        .description = "First paragraph.\n\nSecond paragraph.",
        .options = {StringOption("config", "FILE", "Read FILE", &config_,
                                 Completion::kFile)},
        .commands = {{.name = "start",
                      .operands = "NAME…",
                      .summary = "Start silos",
                      .options = {SwitchOption("wait", "Wait for it", &wait_),
                                  DurationOption("timeout",
                                                 "Give up after "
                                                 "TIME",
                                                 &timeout_),
                                  SizeOption("memory", "How much", &memory_)},
                      .examples = {{"vmsilo-test start work", "Start 'work'"}},
                      .min_operands = 1,
                      .max_operands = 3,
                      .completion = Completion::kSilo},
                     {.name = "run",
                      .operands = "NAME -- COMMAND…",
                      .summary = "Run a command",
                      .options = {ChoiceOption("mode", "MODE", "How",
                                               {"pipe", "tty"}, &mode_),
                                  NumberOption<int>("count", "N", "How often",
                                                    &count_, 1, 9),
                                  ListOption("add", "X", "More", &list_)},
                      .min_operands = 2,
                      .max_operands = 99,
                      .operands_end_options = true}},
    };
    program_.options[0].short_name = 'c';
  }

  absl::StatusOr<Invocation> Parse(const std::vector<std::string>& arguments) {
    return ParseCommandLine(program_, arguments);
  }

  std::string config_ = "default";
  bool wait_ = false;
  absl::Duration timeout_ = absl::Seconds(1);
  Bytes memory_;
  std::string mode_ = "pipe";
  int count_ = 1;
  std::vector<std::string> list_;
  Program program_;
};

TEST_F(OptionsTest, AppliesOptionsBeforeAndAfterTheCommand) {
  const auto invocation = Parse({"-c", "file", "start", "--wait", "work",
                                 "--timeout=2m", "--memory", "1.5G", "play"});
  ASSERT_THAT(invocation, IsOk());
  EXPECT_EQ(invocation->kind, Invocation::Kind::kRun);
  EXPECT_EQ(invocation->command->name, "start");
  EXPECT_THAT(invocation->operands, ElementsAre("work", "play"));
  EXPECT_EQ(config_, "file");
  EXPECT_TRUE(wait_);
  EXPECT_EQ(timeout_, absl::Minutes(2));
  EXPECT_EQ(memory_, MiB(1536));
}

TEST_F(OptionsTest, ParsesTwiceInOneProcess) {
  for (const char* name : {"one", "two"}) {
    const auto invocation = Parse({"start", name});
    ASSERT_THAT(invocation, IsOk());
    EXPECT_THAT(invocation->operands, ElementsAre(name));
  }
}

TEST_F(OptionsTest, LeavesForeignOptionsAlone) {
  const auto invocation = Parse(
      {"run", "--add=1", "--add", "2", "work", "ls", "--count", "--", "-l"});
  ASSERT_THAT(invocation, IsOk());
  EXPECT_THAT(invocation->operands,
              ElementsAre("work", "ls", "--count", "--", "-l"));
  EXPECT_THAT(list_, ElementsAre("1", "2"));
}

TEST_F(OptionsTest, NamesWhatIsWrongAndExits64) {
  struct Case {
    std::vector<std::string> arguments;
    std::string want;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "expected a command: start, run"},
           {{"stop"}, "no command 'stop'"},
           {{"start"}, "expected NAME…"},
           {{"start", "a", "b", "c", "d"}, "unexpected 'd'"},
           {{"start", "--nope", "a"}, "'--nope' is not an option"},
           {{"start", "-x", "a"}, "'-x' is not an option"},
           {{"start", "--wait=yes", "a"}, "'--wait' takes no argument"},
           {{"start", "a", "--timeout"}, "'--timeout' needs an argument"},
           {{"-c"}, "'-c' needs an argument"},
           {{"start", "--timeout=soon", "a"}, "--timeout: 'soon'"},
           {{"start", "--memory=1MB", "a"}, "MiB"},
           {{"run", "--mode=fax", "a", "b"},
            "--mode: 'fax' is not one of "
            "pipe, tty"},
           {{"run", "--count=10", "a", "b"}, "between 1 and 9"},
       }) {
    const auto invocation = Parse(c.arguments);
    ASSERT_THAT(invocation, StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr(c.want)));
    EXPECT_EQ(ExitCodeFor(invocation.status()), kExitUsage);
  }
}

TEST_F(OptionsTest, HelpAndVersionWinOverMissingOperands) {
  EXPECT_EQ(Parse({"start", "--help"})->kind, Invocation::Kind::kHelp);
  EXPECT_EQ(Parse({"-h"})->kind, Invocation::Kind::kHelp);
  EXPECT_EQ(Parse({"help"})->kind, Invocation::Kind::kHelp);
  EXPECT_EQ(Parse({"--version"})->kind, Invocation::Kind::kVersion);
}

TEST_F(OptionsTest, HelpShowsUsageOptionsAndExamples) {
  const std::string help = HelpText(program_, &program_.commands[0]);
  EXPECT_THAT(help, HasSubstr("Usage: vmsilo-test start [OPTION…] NAME…\n"));
  EXPECT_THAT(help,
              HasSubstr("  --timeout=TIME          Give up after TIME\n"));
  EXPECT_THAT(help, HasSubstr("  -c, --config=FILE       Read FILE\n"));
  EXPECT_THAT(help, HasSubstr("vmsilo-test start work\n"));
  EXPECT_THAT(HelpText(program_, nullptr), HasSubstr("  run NAME"));
}

TEST_F(OptionsTest, EveryTextNamesEveryOption) {
  const std::string manual = ManualPage(program_);
  std::vector<std::string> scripts;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(program_, shell);
    ASSERT_THAT(script, IsOk());
    scripts.push_back(*script);
  }
  for (const char* name : {"config", "wait", "timeout", "memory", "mode",
                           "count", "add", "help", "version"}) {
    EXPECT_THAT(manual, HasSubstr(std::string("\\-\\-") + name));
    for (const std::string& script : scripts) {
      EXPECT_THAT(script, HasSubstr(name));
    }
  }
  EXPECT_THAT(manual, HasSubstr(".TH \"VMSILO\\-TEST\" \"8\""));
  EXPECT_THAT(manual, HasSubstr(".PP\nSecond paragraph.\n"));
  EXPECT_FALSE(CompletionScript(program_, "csh").ok());
}

TEST_F(OptionsTest, LinesOfHelpFitATerminal) {
  program_.description = std::string(50, 'x') + " " + std::string(50, 'y');
  EXPECT_THAT(HelpText(program_, nullptr),
              HasSubstr(std::string(50, 'x') + "\n" + std::string(50, 'y')));
}

}  // namespace
}  // namespace vmsilo
