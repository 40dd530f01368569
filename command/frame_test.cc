#include "command/frame.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "command/limits.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::command {
namespace {

using ::absl::StatusCode;
using ::testing::HasSubstr;

std::string Bytes(const Frame& frame) {
  std::string out;
  AppendFrame(frame, &out);
  return out;
}

std::string Raw(uint8_t type, absl::string_view payload) {
  std::string out;
  for (int i = 0; i < 4; ++i) {
    out.push_back(static_cast<char>(payload.size() >> (8 * i)));
  }
  out.push_back(static_cast<char>(type));
  out.append(3, '\0');
  absl::StrAppend(&out, payload);
  return out;
}

// Decodes everything, the input being cut into two pieces at `cut`; frames
// are given back as bytes, because data points into the decoder.
absl::StatusOr<std::string> Recode(absl::string_view bytes, size_t cut) {
  Decoder decoder;
  std::string out;
  for (absl::string_view piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    for (;;) {
      auto frame = decoder.Next(&piece);
      if (!frame.ok()) return frame.status();
      if (!frame->has_value()) break;
      AppendFrame(**frame, &out);
    }
    EXPECT_TRUE(piece.empty());
  }
  return out;
}

std::vector<std::pair<const char*, Frame>> AllFrames() {
  Start start;
  start.tty = true;
  start.window_size = {24, 80, 640, 480};
  start.directory = "/tmp";
  start.arguments = {"printf", "", "a b\n"};
  start.environment = {"TERM=xterm", "LANG="};
  return {
      {"Hello", Hello{1, 7, kMinWindow}},
      {"Start", start},
      {"Started", Started{4711}},
      {"Stdin", Data{Stream::kStdin, "in"}},
      {"Stdout", Data{Stream::kStdout, absl::string_view("\0\xff", 2)}},
      {"Stderr", Data{Stream::kStderr, "e"}},
      {"End", End{Stream::kStderr}},
      {"Credit", Credit{Stream::kStdout, kMaxWindow}},
      {"WindowSize", WindowSize{65535, 1, 2, 3}},
      {"Signal", Signal{kMaxSignal}},
      {"Exited", Exit{Exit::How::kExited, 255}},
      {"Killed", Exit{Exit::How::kKilled, 9}},
      {"KilledByTheHighestSignal", Exit{Exit::How::kKilled, kMaxSignal}},
      {"Error", Error{65535, "why"}},
      {"ErrorWithoutWords", Error{1, ""}},
  };
}

TEST(FrameTest, EachFrameIsDecodedAsItWasWhereverItIsCut) {
  for (const auto& [name, frame] : AllFrames()) {
    const std::string bytes = Bytes(frame);
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      EXPECT_THAT(Recode(bytes, cut), IsOkAndHolds(bytes)) << name << cut;
    }
    Decoder decoder;
    absl::string_view input = bytes;
    auto decoded = decoder.Next(&input);
    ASSERT_THAT(decoded, IsOk()) << name;
    EXPECT_EQ(**decoded, frame) << name;
  }
}

TEST(FrameTest, AConversationIsDecodedWhereverItIsCut) {
  std::string bytes;
  for (const auto& [name, frame] : AllFrames()) AppendFrame(frame, &bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_THAT(Recode(bytes, cut), IsOkAndHolds(bytes)) << cut;
  }
}

TEST(FrameTest, TheBytesAreThoseOfTheSpecification) {
  EXPECT_EQ(Bytes(Hello{1, 2, 0x40000}),
            absl::string_view("\x10\0\0\0\x01\0\0\0"
                              "vmsilo\r\n\x01\0\x02\0\0\0\x04\0",
                              24));
  EXPECT_EQ(Bytes(Data{Stream::kStderr, "hi"}),
            absl::string_view("\x02\0\0\0\x12\0\0\0hi", 10));
  EXPECT_EQ(Bytes(Exit{Exit::How::kKilled, 15}),
            absl::string_view("\x02\0\0\0\x08\0\0\0\x01\x0f", 10));
}

TEST(FrameTest, UnknownFramesFrom0x80OnAreSkipped) {
  const std::string end = Bytes(End{Stream::kStdin});
  const std::string bytes =
      absl::StrCat(Raw(0x80, "news"), end, Raw(0xff, ""), end);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_THAT(Recode(bytes, cut), IsOkAndHolds(absl::StrCat(end, end)));
  }
}

TEST(FrameTest, AHelloMayHaveGrown) {
  std::string hello = Bytes(Hello{}).substr(kHeaderBytes);
  EXPECT_THAT(Recode(Raw(1, absl::StrCat(hello, "more")), 0),
              IsOkAndHolds(Bytes(Hello{})));
}

TEST(FrameTest, AnErrorsMessageIsCut) {
  const std::string bytes =
      Bytes(Error{1, std::string(kMaxErrorBytes + 9, 'x')});
  EXPECT_EQ(bytes.size(), kHeaderBytes + 2 + kMaxErrorBytes);
  EXPECT_THAT(Recode(bytes, 3), IsOkAndHolds(bytes));
}

struct Bad {
  const char* name;
  std::string bytes;
  const char* words;
};

std::string StartPayload(absl::string_view counts, absl::string_view strings) {
  return absl::StrCat(absl::string_view("\0\0\0\0\0\0\0\0\0", 9), counts,
                      strings);
}

class BadFrameTest : public ::testing::TestWithParam<Bad> {};

TEST_P(BadFrameTest, IsRefusedWhereverItIsCut) {
  const std::string& bytes = GetParam().bytes;
  // The long ones are refused at their headers.
  for (size_t cut = 0; cut <= std::min<size_t>(bytes.size(), 300); ++cut) {
    EXPECT_THAT(Recode(bytes, cut), StatusIs(StatusCode::kInvalidArgument,
                                             HasSubstr(GetParam().words)));
  }
}

const absl::string_view kOneArgument("\1\0\0\0", 4);
const absl::string_view kNoDirectory("\0\0\0\0", 4);

INSTANTIATE_TEST_SUITE_P(
    All, BadFrameTest,
    ::testing::ValuesIn(std::vector<Bad>{
        {"TypeZero", Raw(0, ""), "unknown frame type 0x00"},
        {"UnknownType", Raw(0x7f, ""), "unknown frame type 0x7f"},
        {"Reserved", std::string("\0\0\0\0\x80\1\0\0", 8), "reserved"},
        {"Http", "GET / HTTP/1.0\r\n\r\n", "reserved"},
        {"NoMagic", Raw(1, std::string(16, 'x')), "magic"},
        {"HelloTooShort", Raw(1, std::string(15, 'x')), "0x01 with 15"},
        {"HelloTooLong", Raw(1, std::string(257, 'x')), "0x01 with 257"},
        {"NoVersion", Bytes(Hello{2, 1, kMinWindow}), "no version"},
        {"SmallWindow", Bytes(Hello{1, 1, kMinWindow - 1}), "window"},
        {"LargeWindow", Bytes(Hello{1, 1, kMaxWindow + 1}), "window"},
        {"EmptyData", Raw(0x10, ""), "0x10 with 0"},
        {"LongData", Raw(0x11, std::string(kMaxDataBytes + 1, 'x')),
         "0x11 with 65537"},
        {"LongSkipped", Raw(0x80, std::string(kMaxSkippedBytes + 1, 'x')),
         "0x80 with 65537"},
        {"LongError", Raw(9, std::string(kMaxErrorBytes + 3, 'x')), "0x09"},
        {"NoStream", Raw(4, "\x03"), "no such stream"},
        {"CreditNoStream", Raw(5, absl::string_view("\3\1\0\0\0", 5)),
         "no such stream"},
        {"CreditZero", Raw(5, absl::string_view("\0\0\0\0\0", 5)), "CREDIT"},
        {"CreditTooLarge", Bytes(Credit{Stream::kStdin, kMaxWindow + 1}),
         "CREDIT"},
        {"SignalZero", Bytes(Signal{0}), "no such signal"},
        {"SignalTooHigh", Bytes(Signal{kMaxSignal + 1}), "no such signal"},
        {"KilledByNothing", Bytes(Exit{Exit::How::kKilled, 0}),
         "no such signal"},
        {"KilledByNoSignal", Bytes(Exit{Exit::How::kKilled, kMaxSignal + 1}),
         "no such signal"},
        {"ExitUnknown", Raw(8, absl::string_view("\2\0", 2)), "EXIT"},
        {"StartFlags", Raw(2, "\x04"), "unknown flags"},
        {"StartCut", Raw(2, absl::string_view("\0", 1)), "wrong length"},
        {"StartTrailing",
         Raw(2, StartPayload(kOneArgument,
                             absl::StrCat(kNoDirectory,
                                          absl::string_view("\1\0\0\0ax", 6)))),
         "wrong length"},
        {"StartStringTooLong",
         Raw(2, StartPayload(kOneArgument,
                             absl::StrCat(kNoDirectory, "\xff\xff\xff\xff"))),
         "wrong length"},
        {"StartTooManyArguments",
         Raw(2, StartPayload(absl::string_view("\1\x10\0\0", 4), "")),
         "too many"},
        {"StartTooMuchEnvironment",
         Raw(2, StartPayload(absl::string_view("\1\0\1\1", 4), "")),
         "too many"},
        {"StartDetachedTty",
         Bytes(Start{.detach = true, .tty = true, .arguments = {"x"}}),
         "no terminal"},
        {"StartNothing", Bytes(Start{}), "no command"},
        {"StartEmptyName", Bytes(Start{.arguments = {"", "x"}}), "no command"},
        {"StartNul", Bytes(Start{.arguments = {std::string("a\0b", 3)}}),
         "NUL"},
        {"StartNulInDirectory",
         Bytes(Start{.directory = std::string("\0", 1), .arguments = {"a"}}),
         "NUL"},
        {"StartNoValue",
         Bytes(Start{.arguments = {"a"}, .environment = {"TERM"}}),
         "NAME=VALUE"},
        {"StartNoName", Bytes(Start{.arguments = {"a"}, .environment = {"=x"}}),
         "NAME=VALUE"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(DecoderTest, StaysInError) {
  Decoder decoder;
  const std::string bad = Raw(0x7f, "");
  absl::string_view input = bad;
  EXPECT_FALSE(decoder.Next(&input).ok());
  const std::string good = Bytes(End{Stream::kStdin});
  input = good;
  EXPECT_FALSE(decoder.Next(&input).ok());
}

TEST(DecoderTest, RefusesAFrameAtItsHeader) {
  Decoder decoder;
  absl::string_view input("\xff\xff\xff\x7f\x02\0\0\0", 8);
  EXPECT_THAT(decoder.Next(&input), StatusIs(StatusCode::kInvalidArgument));
}

TEST(DecoderTest, KnowsWhetherAFrameIsOpen) {
  Decoder decoder;
  const std::string bytes = Bytes(Data{Stream::kStdin, "abc"});
  EXPECT_FALSE(decoder.is_inside_frame());
  absl::string_view input = absl::string_view(bytes).substr(0, 9);
  ASSERT_THAT(decoder.Next(&input), IsOk());
  EXPECT_TRUE(decoder.is_inside_frame());
  input = absl::string_view(bytes).substr(9);
  ASSERT_THAT(decoder.Next(&input), IsOk());
  EXPECT_FALSE(decoder.is_inside_frame());
}

TEST(ValidateTest, TakesWhatIsAtTheLimitAndNotMore) {
  Start start{.arguments = std::vector<std::string>(kMaxArguments, "x"),
              .environment = std::vector<std::string>(kMaxEnvironment, "A=")};
  start.directory = std::string(kMaxDirectoryBytes, 'd');
  EXPECT_THAT(Validate(start), IsOk());
  EXPECT_THAT(Recode(Bytes(start), 100), IsOkAndHolds(Bytes(start)));

  Start more = start;
  more.arguments.push_back("x");
  EXPECT_THAT(Validate(more), StatusIs(StatusCode::kInvalidArgument,
                                       HasSubstr("4096 arguments")));
  more = start;
  more.environment.push_back("A=");
  EXPECT_THAT(Validate(more), StatusIs(StatusCode::kInvalidArgument,
                                       HasSubstr("256 environment")));
  more = start;
  more.directory += 'd';
  EXPECT_THAT(Validate(more),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("directory")));
}

TEST(ValidateTest, CountsAllBytesOfAStart) {
  Start start{.arguments = {"x"}};
  const size_t rest = kMaxStartBytes - (Bytes(start).size() - kHeaderBytes);
  start.arguments[0] += std::string(rest, 'x');
  EXPECT_THAT(Validate(start), IsOk());
  EXPECT_EQ(Bytes(start).size(), kHeaderBytes + kMaxStartBytes);
  EXPECT_THAT(Recode(Bytes(start), 7), IsOkAndHolds(Bytes(start)));
  start.arguments[0] += 'x';
  EXPECT_THAT(Validate(start), StatusIs(StatusCode::kInvalidArgument,
                                        HasSubstr("262144 bytes")));
}

}  // namespace
}  // namespace vmsilo::command
