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

using ::testing::HasSubstr;
using Command = EscapeKeys::Command;

absl::string_view NameOf(Command command) {
  switch (command) {
    case Command::kLeave:
      return "<leave>";
    case Command::kHelp:
      return "<help>";
    case Command::kSuspend:
      return "<suspend>";
    case Command::kStatus:
      return "<status>";
    case Command::kTakeOver:
      return "<take over>";
    case Command::kSendSize:
      return "<send size>";
  }
  return "";
}

// What comes of `bytes`, in its order: "ls\r<leave>".
std::string ReadAll(EscapeKeys* keys, absl::string_view bytes) {
  std::string all;
  while (!bytes.empty()) {
    const EscapeKeys::Typed typed = keys->Read(&bytes);
    all += typed.for_guest;
    if (typed.command.has_value()) {
      all += std::string(NameOf(*typed.command));
    }
  }
  return all;
}

struct Case {
  absl::string_view typed;
  absl::string_view want;
};

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {"ls\r", "ls\r"},
      {"~.", "<leave>"},
      {"~?", "<help>"},
      {"~s~w~r~\x1a", "<status><take over><send size><suspend>"},
      {"ls\r~.", "ls\r<leave>"},
      {"ls\n~.", "ls\n<leave>"},
      {"ls\r~rpwd\r~.~?", "ls\r<send size>pwd\r<leave><help>"},
      {"ls ~.", "ls ~."},
      {"~~.", "~."},
      {"~~~.", "~~."},
      {"~x", "~x"},
      {"~\r~.", "~\r<leave>"},
      {"~", ""},
  };
  return cases;
}

TEST(EscapeKeysTest, KnowsCommandsAtTheBeginningOfALine) {
  for (const Case& test : Cases()) {
    EscapeKeys keys;
    EXPECT_EQ(ReadAll(&keys, test.typed), test.want) << test.typed;
  }
}

TEST(EscapeKeysTest, KeysMayComeOneByOne) {
  for (const Case& test : Cases()) {
    EscapeKeys keys;
    std::string all;
    for (size_t i = 0; i < test.typed.size(); ++i) {
      all += ReadAll(&keys, test.typed.substr(i, 1));
    }
    EXPECT_EQ(all, test.want) << test.typed;
  }
}

TEST(EscapeKeysTest, ExplainsEveryKey) {
  for (const char* key : {"~.", "~?", "~s", "~w", "~r", "~^Z", "~~"}) {
    EXPECT_THAT(EscapeKeys().Help(), HasSubstr(key));
  }
}

TEST(EscapeKeysTest, TheEscapeCharacterIsAnyOne) {
  EscapeKeys keys(*EscapeKeys::Parse("^]"));
  EXPECT_EQ(ReadAll(&keys, "~.\r\x1d\x1d\r\x1d."), "~.\r\x1d\r<leave>");
  EXPECT_THAT(keys.Help(), HasSubstr("  ^].   leave"));
  EXPECT_THAT(keys.Help(), HasSubstr("  ^]^]  type"));
  EXPECT_EQ(keys.NameOf('?'), "^]?");
}

TEST(EscapeKeysTest, OrThereIsNone) {
  EscapeKeys keys(*EscapeKeys::Parse("none"));
  EXPECT_EQ(ReadAll(&keys, "~.\r~~?"), "~.\r~~?");
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
