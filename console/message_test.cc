#include "console/message.h"

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "console/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::console {
namespace {

using ::testing::HasSubstr;

TEST(MessageTest, ViewersMessagesComeBackAsTheyWere) {
  for (const FromViewer& message : std::vector<FromViewer>{
           Attach{},
           Attach{.role = Role::kWriter,
           .takes_over = true,
           .resumes = true,
           .epoch = 0x0123456789abcdef,
           .position = 0xfedcba9876543210},
           Input{.bytes = absl::string_view("\x03\0z", 3)},
           WindowSize{.rows = 50, .columns = 132},
           StatusRequest{},
       }) {
    const std::string packet = Encode(message);
    EXPECT_THAT(DecodeFromViewer(packet), IsOkAndHolds(message));
  }
}

TEST(MessageTest, RelaysMessagesComeBackAsTheyWere) {
  for (const FromRelay& message : std::vector<FromRelay>{
           Attached{.role = Role::kWriter,
                    .has_guest = true,
                    .epoch = 7,
                    .position = 1 << 20},
           Output{.position = 9, .bytes = "login: "},
           Lost{.from = 3, .to = 900},
           Guest{.is_connected = true},
           RoleChange{.role = Role::kObserver},
           Status{.has_guest = true,
           .is_terminal_open = true,
           .viewers = 3,
           .has_writer = true,
           .from_guest = 1,
           .to_guest = 2,
           .to_guest_lost = 3,
           .terminal_lost = 4,
           .log_lost = 5,
           .guest_connections = 6,
           .scrollback = 1 << 20,
           .window_size = {.rows = 24, .columns = 80}},
           Error{.code = 3, .message = "no room"},
       }) {
    const std::string packet = Encode(message);
    EXPECT_THAT(DecodeFromRelay(packet), IsOkAndHolds(message));
  }
}

TEST(MessageTest, PacketsThatAreCutAreErrors) {
  for (const FromViewer& message : std::vector<FromViewer>{
           Attach{}, Input{.bytes = "x"}, WindowSize{}, StatusRequest{}}) {
    const std::string packet = Encode(message);
    for (size_t size = 0; size < packet.size(); ++size) {
      EXPECT_THAT(DecodeFromViewer(packet.substr(0, size)),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << size;
    }
  }
  for (const FromRelay& message : std::vector<FromRelay>{
           Attached{}, Output{.bytes = "x"}, Lost{.from = 0, .to = 1}, Guest{},
           RoleChange{}, Status{}, Error{}}) {
    const std::string packet = Encode(message);
    for (size_t size = 0; size < packet.size(); ++size) {
      EXPECT_THAT(DecodeFromRelay(packet.substr(0, size)),
                  StatusIs(absl::StatusCode::kInvalidArgument))
          << size;
    }
  }
}

TEST(MessageTest, WhatLaterVersionsAppendIsIgnored) {
  EXPECT_THAT(DecodeFromViewer(Encode(FromViewer(Attach{})) + "more"),
              IsOkAndHolds(FromViewer(Attach{})));
  EXPECT_THAT(DecodeFromRelay(Encode(FromRelay(Status{})) + "more"),
              IsOkAndHolds(FromRelay(Status{})));
}

TEST(MessageTest, LengthsHaveLimits) {
  const std::string input(kMaxInputBytes, 'x');
  EXPECT_THAT(DecodeFromViewer(Encode(FromViewer(Input{.bytes = input}))),
              IsOk());
  EXPECT_THAT(DecodeFromViewer(Encode(FromViewer(Input{.bytes = input})) + "x"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  const std::string output(kMaxOutputBytes, 'x');
  EXPECT_THAT(DecodeFromRelay(absl::StrCat(EncodeOutputHead(1), output)),
              IsOk());
  EXPECT_THAT(DecodeFromRelay(absl::StrCat(EncodeOutputHead(1), output, "x")),
              StatusIs(absl::StatusCode::kInvalidArgument));
  // The sender cuts what it says to people.
  const std::string error =
      Encode(FromRelay(Error{.message = std::string(kMaxErrorBytes + 9, 'x')}));
  EXPECT_THAT(DecodeFromRelay(error), IsOk());
  EXPECT_THAT(DecodeFromRelay(error + "x"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(MessageTest, ValuesThatMakeNoSenseAreErrors) {
  std::string role = Encode(FromRelay(RoleChange{}));
  role.back() = 2;
  EXPECT_THAT(
      DecodeFromRelay(role),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no such role")));
  EXPECT_THAT(DecodeFromRelay(Encode(FromRelay(Lost{.from = 5, .to = 5}))),
              StatusIs(absl::StatusCode::kInvalidArgument));
  // A viewer's message is none of a relay's, and the other way round.
  EXPECT_THAT(DecodeFromRelay(Encode(FromViewer(StatusRequest{}))),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeFromViewer(Encode(FromRelay(Guest{}))),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vmsilo::console
