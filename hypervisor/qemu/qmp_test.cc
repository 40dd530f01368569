#include "hypervisor/qemu/qmp.h"

#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"
#include "hypervisor/testing/conversation_driver.h"

namespace vmsilo::hypervisor::qemu {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

const char kGreeting[] =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 13, \"minor\": 0, "
    "\"major\": 10}, \"package\": \"Debian\"}, \"capabilities\": "
    "[\"oob\"]}}\r\n";
const char kEvent[] =
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": "
    "\"RESUME\"}\r\n";
const char kShutdown[] =
    "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false}, \"timestamp\": "
    "{\"seconds\": -1, \"microseconds\": -1}}\r\n";
const char kCapabilitiesDone[] = "{\"return\": {}, \"id\": 1}\r\n";
const char kCommandDone[] = "{\"id\": 2, \"return\": {}}\r\n";

std::string Sent(const char* command) {
  return absl::StrCat("{\"execute\":\"qmp_capabilities\",\"id\":1}\n",
                      "{\"execute\":\"", command, "\",\"id\":2}\n");
}

struct Case {
  const char* name;
  Request request;
  std::string received;
  std::string sent;
  bool is_done;
  StatusCode code;
  VmStatus::State state = VmStatus::State::kOther;
};

std::vector<Case> Cases() {
  const std::string begin = absl::StrCat(kGreeting, kEvent, kCapabilitiesDone);
  const auto status = [&begin](const char* word) {
    return absl::StrCat(begin, kEvent, "{\"return\": {\"status\": \"", word,
                        "\", \"singlestep\": false, \"running\": true}, "
                        "\"id\": 2}\r\n");
  };
  const std::string handshake = "{\"execute\":\"qmp_capabilities\",\"id\":1}\n";
  return {
      {"PowerButton", Request::kPressPowerButton,
       absl::StrCat(begin, kEvent, kEvent, kCommandDone),
       Sent("system_powerdown"), true, StatusCode::kOk},
      {"Quit", Request::kStop, absl::StrCat(begin, kShutdown, kCommandDone),
       Sent("quit"), true, StatusCode::kOk},
      {"Ping", Request::kPing, begin, handshake, true, StatusCode::kOk},
      {"Running", Request::kQueryStatus, status("running"),
       Sent("query-status"), true, StatusCode::kOk, VmStatus::State::kRunning},
      {"Paused", Request::kQueryStatus, status("prelaunch"),
       Sent("query-status"), true, StatusCode::kOk, VmStatus::State::kPaused},
      {"ShutDown", Request::kQueryStatus, status("shutdown"),
       Sent("query-status"), true, StatusCode::kOk, VmStatus::State::kShutDown},
      {"Panicked", Request::kQueryStatus, status("guest-panicked"),
       Sent("query-status"), true, StatusCode::kOk, VmStatus::State::kFailed},
      {"NewWord", Request::kQueryStatus, status("colo"), Sent("query-status"),
       true, StatusCode::kOk, VmStatus::State::kOther},
      {"NotYet", Request::kPing, kGreeting, handshake, false, StatusCode::kOk},
      {"EmptyLines", Request::kPing, absl::StrCat("\r\n", begin), handshake,
       true, StatusCode::kOk},

      {"NoGreeting", Request::kPing, kCapabilitiesDone, "", false,
       StatusCode::kDataLoss},
      {"TwoGreetings", Request::kPing, absl::StrCat(kGreeting, kGreeting),
       handshake, false, StatusCode::kDataLoss},
      {"WrongId", Request::kPing,
       absl::StrCat(kGreeting, "{\"return\": {}, \"id\": 2}\r\n"), handshake,
       false, StatusCode::kDataLoss},
      {"IdIsText", Request::kPing,
       absl::StrCat(kGreeting, "{\"return\": {}, \"id\": \"1\"}\r\n"),
       handshake, false, StatusCode::kDataLoss},
      {"NoId", Request::kPing, absl::StrCat(kGreeting, "{\"return\": {}}\r\n"),
       handshake, false, StatusCode::kDataLoss},
      {"NotJson", Request::kPing, "hello\r\n", "", false,
       StatusCode::kDataLoss},
      {"NotAnObject", Request::kPing, "[1]\r\n", "", false,
       StatusCode::kDataLoss},
      {"UnknownKind", Request::kPing, "{\"x\": 1}\r\n", "", false,
       StatusCode::kDataLoss},
      {"Error", Request::kPing,
       absl::StrCat(kGreeting,
                    "{\"id\": 1, \"error\": {\"class\": \"GenericError\", "
                    "\"desc\": \"no\"}}\r\n"),
       handshake, false, StatusCode::kFailedPrecondition},
      {"ErrorWithoutId", Request::kPing,
       absl::StrCat(kGreeting,
                    "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                    "\"JSON parse error\"}}\r\n"),
       handshake, false, StatusCode::kFailedPrecondition},
      {"StatusWithoutWord", Request::kQueryStatus,
       absl::StrCat(begin, "{\"return\": {\"status\": 7}, \"id\": 2}\r\n"),
       Sent("query-status"), false, StatusCode::kDataLoss},
  };
}

class QmpConversationTest : public TestWithParam<Case> {
 protected:
  void Expect(const std::vector<std::string>& pieces) {
    QmpConversation conversation(GetParam().request);
    const Transcript transcript = Drive(&conversation, pieces);
    EXPECT_THAT(transcript.status, StatusIs(GetParam().code));
    EXPECT_EQ(transcript.is_done, GetParam().is_done);
    if (GetParam().is_done) {
      EXPECT_EQ(transcript.sent, GetParam().sent);
      EXPECT_EQ(transcript.vm.state, GetParam().state);
      EXPECT_EQ(transcript.vm.version, "10.0.13");
    }
  }
};

TEST_P(QmpConversationTest, Whole) { Expect({GetParam().received}); }

TEST_P(QmpConversationTest, CutAtEveryByte) {
  for (size_t i = 0; i <= GetParam().received.size(); ++i) {
    Expect(CutAt(GetParam().received, i));
  }
}

TEST_P(QmpConversationTest, ByteByByte) {
  Expect(Bytewise(GetParam().received));
}

INSTANTIATE_TEST_SUITE_P(All, QmpConversationTest, ValuesIn(Cases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(QmpConversationEndTest, QuitIsDoneWhenTheConnectionEnds) {
  QmpConversation quit(Request::kStop);
  Drive(&quit, {kGreeting, kCapabilitiesDone, kShutdown});
  EXPECT_THAT(quit.ReceiveEnd(), IsOk());
  QmpConversation unasked(Request::kStop);
  Drive(&unasked, {kGreeting});
  EXPECT_THAT(unasked.ReceiveEnd(), StatusIs(StatusCode::kUnavailable));
  QmpConversation button(Request::kPressPowerButton);
  Drive(&button, {kGreeting, kCapabilitiesDone, kShutdown});
  EXPECT_THAT(button.ReceiveEnd(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("shutting down")));
}

TEST(QmpReaderTest, RefusesALineThatIsTooLong) {
  QmpReader reader;
  EXPECT_THAT(reader.Receive(std::string(kMaxLineBytes, ' ')), IsOk());
  EXPECT_EQ(reader.held_bytes(), kMaxLineBytes);
  EXPECT_THAT(reader.Receive(" "), StatusIs(StatusCode::kDataLoss));
}

TEST(QmpReaderTest, SeveralInOnePiece) {
  QmpReader reader;
  const auto messages = reader.Receive(absl::StrCat(kEvent, kEvent, kGreeting));
  ASSERT_THAT(messages, IsOk());
  EXPECT_EQ(messages->size(), 3u);
}

}  // namespace
}  // namespace vmsilo::hypervisor::qemu
