#include "vsock/hybrid.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::vsock {
namespace {

using ::testing::HasSubstr;

TEST(ConnectLineTest, NamesThePort) {
  EXPECT_EQ(ConnectLine(5000), "CONNECT 5000\n");
  EXPECT_EQ(ConnectLine(4294967294u), "CONNECT 4294967294\n");
}

// What the reader takes for itself, when the bytes come in two pieces.
absl::StatusOr<size_t> Taken(absl::string_view bytes, size_t cut) {
  ReplyReader reader;
  auto first = reader.Read(bytes.substr(0, cut));
  if (!first.ok()) return first.status();
  if (first->is_done) return first->consumed;
  EXPECT_EQ(first->consumed, cut);
  auto second = reader.Read(bytes.substr(cut));
  if (!second.ok()) return second.status();
  EXPECT_TRUE(second->is_done);
  return first->consumed + second->consumed;
}

TEST(ReplyReaderTest, TakesTheAnswerAndNothingElseWhereverItIsCut) {
  for (const absl::string_view reply :
       {"OK 1073741824\n", "OK 5000\n", "OK\n"}) {
    const std::string bytes = absl::StrCat(reply, "early\npayload");
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      EXPECT_THAT(Taken(bytes, cut), IsOkAndHolds(reply.size())) << cut;
    }
  }
}

TEST(ReplyReaderTest, RefusesOtherAnswersWhereverTheyAreCut) {
  for (const absl::string_view bytes :
       {"NO\n", "\n", "OK 1 2\n", "OK x\n", "OK \n", "OKAY\n", "ok 1\n"}) {
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      EXPECT_THAT(Taken(bytes, cut),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           HasSubstr("unexpected answer")))
          << bytes << cut;
    }
  }
}

TEST(ReplyReaderTest, TakesTheLongestAnswerAndNotOneByteMore) {
  const std::string digits(kMaxReplyBytes - 4, '7');
  EXPECT_THAT(Taken(absl::StrCat("OK ", digits, "\n"), 5),
              IsOkAndHolds(kMaxReplyBytes));
  EXPECT_THAT(
      Taken(absl::StrCat("OK ", digits, "7\n"), 5),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too long")));
}

TEST(ReplyReaderTest, EndsAnEndlessAnswer) {
  ReplyReader reader;
  EXPECT_THAT(
      reader.Read(std::string(4096, 'O')),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too long")));
}

}  // namespace
}  // namespace vmsilo::vsock
