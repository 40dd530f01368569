#include "cli/escape_keys.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Command = EscapeKeys::Command;

struct Case {
  absl::string_view typed;
  absl::string_view for_guest;
  std::vector<Command> commands;
};

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {"ls\r", "ls\r", {}},
      {"~.", "", {Command::kLeave}},
      {"~?", "", {Command::kHelp}},
      {"~s~w~r~\x1a",
       "",
       {Command::kStatus, Command::kTakeOver, Command::kSendSize,
        Command::kSuspend}},
      {"ls\r~.", "ls\r", {Command::kLeave}},
      {"ls\n~.", "ls\n", {Command::kLeave}},
      {"ls ~.", "ls ~.", {}},
      {"~~.", "~.", {}},
      {"~~~.", "~~.", {}},
      {"~x", "~x", {}},
      {"~\r~.", "~\r", {Command::kLeave}},
      {"~", "", {}},
  };
  return cases;
}

TEST(EscapeKeysTest, KnowsCommandsAtTheBeginningOfALine) {
  for (const Case& test : Cases()) {
    EscapeKeys keys;
    const EscapeKeys::Typed typed = keys.Read(test.typed);
    EXPECT_EQ(typed.for_guest, test.for_guest) << test.typed;
    EXPECT_THAT(typed.commands, ElementsAreArray(test.commands)) << test.typed;
  }
}

TEST(EscapeKeysTest, KeysMayComeOneByOne) {
  for (const Case& test : Cases()) {
    EscapeKeys keys;
    std::string for_guest;
    std::vector<Command> commands;
    for (size_t i = 0; i < test.typed.size(); ++i) {
      const EscapeKeys::Typed typed = keys.Read(test.typed.substr(i, 1));
      for_guest += typed.for_guest;
      commands.insert(commands.end(), typed.commands.begin(),
                      typed.commands.end());
    }
    EXPECT_EQ(for_guest, test.for_guest) << test.typed;
    EXPECT_THAT(commands, ElementsAreArray(test.commands)) << test.typed;
  }
}

TEST(EscapeKeysTest, ExplainsEveryKey) {
  for (const char* key : {"~.", "~?", "~s", "~w", "~r", "~^Z", "~~"}) {
    EXPECT_THAT(EscapeKeys().Help(), HasSubstr(key));
  }
}

TEST(EscapeKeysTest, TheEscapeCharacterIsAnyOne) {
  EscapeKeys keys(*EscapeKeys::Parse("^]"));
  const EscapeKeys::Typed typed = keys.Read("~.\r\x1d\x1d\r\x1d.");
  EXPECT_EQ(typed.for_guest, "~.\r\x1d\r");
  EXPECT_THAT(typed.commands, testing::ElementsAre(Command::kLeave));
  EXPECT_THAT(keys.Help(), HasSubstr("  ^].   leave"));
  EXPECT_THAT(keys.Help(), HasSubstr("  ^]^]  type"));
  EXPECT_EQ(keys.NameOf('?'), "^]?");
}

TEST(EscapeKeysTest, OrThereIsNone) {
  EscapeKeys keys(*EscapeKeys::Parse("none"));
  const EscapeKeys::Typed typed = keys.Read("~.\r~~?");
  EXPECT_EQ(typed.for_guest, "~.\r~~?");
  EXPECT_TRUE(typed.commands.empty());
  EXPECT_EQ(keys.NameOf('.'), "");
}

TEST(EscapeKeysTest, KnowsHowPeopleWriteCharacters) {
  EXPECT_THAT(EscapeKeys::Parse("%"), IsOkAndHolds(std::optional('%')));
  EXPECT_THAT(EscapeKeys::Parse("^"), IsOkAndHolds(std::optional('^')));
  EXPECT_THAT(EscapeKeys::Parse("^a"), IsOkAndHolds(std::optional('\x01')));
  for (const char* wrong : {"", "ab", "^1", "^M", "^j", " ", "\x7f", "\xe4"}) {
    EXPECT_THAT(EscapeKeys::Parse(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << wrong;
  }
}

}  // namespace
}  // namespace vmsilo::cli
