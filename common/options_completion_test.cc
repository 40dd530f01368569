// The completion for bash in a real bash, with the words of a line as readline
// cuts them.

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/options.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

class BashCompletionTest : public ::testing::Test {
 protected:
  BashCompletionTest() {
    constexpr size_t kAny = std::numeric_limits<size_t>::max();
    program_.name = "vmsilo-test";
    Option level =
        ChoiceOption("level", "LEVEL", "How much", {"debug", "info"}, &text_);
    level.short_name = 'l';
    program_.options = {level};
    Option number = StringOption("lines", "N", "How many", &text_);
    number.short_name = 'n';
    Option no_input = SwitchOption("no-input", "Read nothing", &is_set_);
    no_input.short_name = 'n';
    program_.commands = {
        {.name = "start",
         .max_operands = kAny,
         .completion = Completion::kSilo},
        {.name = "logs",
         .options = {number},
         .max_operands = 1,
         .completion = Completion::kSilo},
        {.name = "run",
         .options = {StringOption("socket", "PATH", "Where", &text_,
                                  Completion::kFile),
                     no_input},
         .max_operands = kAny,
         .completion = Completion::kSilo,
         .completed_operands = 1},
    };
    dir_.Write("my file", "");
    dir_.Write("other", "");
  }

  // What is offered for the last of the words, separated by '|'.
  std::string Complete(const std::vector<std::string>& words) {
    const auto script = CompletionScript(program_, "bash");
    EXPECT_THAT(script, IsOk());
    std::string text = absl::StrCat(
        "vmsilo() { [[ $* == 'list --names' ]] && printf 'work\\ngames\\n'; }\n"
        "compopt() { printf '(%s)' \"$*\"; }\n",
        *script, "cd '", dir_.path(), "'\nCOMP_WORDS=(vmsilo-test");
    for (const std::string& word : words) {
      absl::StrAppend(&text, " '", word, "'");
    }
    absl::StrAppend(&text, ")\nCOMP_CWORD=", words.size(),
                    "\n_vmsilo_test\nIFS='|'\n"
                    "printf '%s' \"${COMPREPLY[*]}\"\n");
    const auto result = RunProcess({"/bin/bash", "--norc", "-eu"}, text);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return result.out;
  }

  Program program_;
  std::string text_;
  bool is_set_ = false;
  TempDir dir_;
};

TEST_F(BashCompletionTest, Commands) {
  EXPECT_EQ(Complete({""}), "start|logs|run");
  EXPECT_EQ(Complete({"st"}), "start");
  EXPECT_EQ(Complete({"fly", ""}), "");
  EXPECT_THAT(Complete({"-"}), HasSubstr("--level"));
}

TEST_F(BashCompletionTest, AnOptionsValueIsNotTheCommand) {
  EXPECT_EQ(Complete({"--level", "debug", "st"}), "start");
  EXPECT_EQ(Complete({"-l", "debug", "st"}), "start");
  EXPECT_EQ(Complete({"--level", "=", "debug", "st"}), "start");
  EXPECT_EQ(Complete({"--level=debug", "st"}), "start");
  EXPECT_EQ(Complete({"--level", "debug", "start", "w"}), "work");
}

TEST_F(BashCompletionTest, ValuesInEverySpelling) {
  EXPECT_EQ(Complete({"--level", ""}), "debug|info");
  EXPECT_EQ(Complete({"--level", "="}), "debug|info");
  EXPECT_EQ(Complete({"--level", "=", "d"}), "debug");
  EXPECT_EQ(Complete({"--level=d"}), "--level=debug");
  EXPECT_EQ(Complete({"run", "-l", "i"}), "info");
  EXPECT_EQ(Complete({"logs", "--lines", ""}), "");
}

TEST_F(BashCompletionTest, TheSameLetterMayBeASwitchElsewhere) {
  EXPECT_EQ(Complete({"logs", "-n", ""}), "");
  EXPECT_EQ(Complete({"logs", "-n", "5", ""}), "work|games");
  EXPECT_EQ(Complete({"run", "-n", ""}), "work|games");
}

TEST_F(BashCompletionTest, Files) {
  EXPECT_EQ(Complete({"run", "--socket", "m"}), "(-o filenames)my file");
}

TEST_F(BashCompletionTest, SilosWhereSilosStand) {
  EXPECT_EQ(Complete({"start", "work", "g"}), "games");
  EXPECT_EQ(Complete({"run", "w"}), "work");
  EXPECT_EQ(Complete({"run", "work", ""}), "--");
  EXPECT_EQ(Complete({"run", "work", "--", ""}), "");
  EXPECT_EQ(Complete({"run", "work", "--", "-"}), "");
  EXPECT_THAT(Complete({"run", "work", "-"}), HasSubstr("--socket"));
}

}  // namespace
}  // namespace vmsilo
