#include "hypervisor/crosvm/control.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"
#include "hypervisor/testing/conversation_driver.h"

namespace vmsilo::hypervisor::crosvm {
namespace {

using absl::StatusCode;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

// crosvm is silent on everything but these bytes.
TEST(EncodeRequestTest, IsByteForByteWhatCrosvmUnderstands) {
  EXPECT_EQ(EncodeRequest(Request::kPressPowerButton), "\"Powerbtn\"");
  EXPECT_EQ(EncodeRequest(Request::kStop), "\"Exit\"");
  EXPECT_EQ(EncodeRequest(Request::kPing), "\"VcpuPidTid\"");
  EXPECT_EQ(EncodeRequest(Request::kQueryStatus), "\"VcpuPidTid\"");
}

struct Case {
  const char* name;
  Request request;
  std::string packet;
  StatusCode code;
};

std::vector<Case> Cases() {
  const Request button = Request::kPressPowerButton;
  const Request status = Request::kQueryStatus;
  const std::string threads =
      R"({"VcpuPidTidResponse":{"pid_tid_map":{"0":[4242,4260]}}})";
  return {
      {"Ok", button, "\"Ok\"", StatusCode::kOk},
      {"OkWithSpace", button, " \"Ok\" \n", StatusCode::kOk},
      {"StopOk", Request::kStop, "\"Ok\"", StatusCode::kOk},
      {"Threads", status, threads, StatusCode::kOk},
      {"NoThreads", status, R"({"VcpuPidTidResponse":{"pid_tid_map":{}}})",
       StatusCode::kOk},
      {"StrangeThreads", status, R"({"VcpuPidTidResponse":[]})",
       StatusCode::kOk},
      {"NotSupported", button, "{\"Err\":95}", StatusCode::kUnimplemented},
      {"OtherError", button, "{\"Err\":5}", StatusCode::kFailedPrecondition},
      {"NegativeError", button, "{\"Err\":-5}",
       StatusCode::kFailedPrecondition},
      {"HugeError", button, "{\"Err\":99999999999}",
       StatusCode::kFailedPrecondition},
      {"ErrorText", button, "{\"ErrString\":\"no\\u001b[2J\"}",
       StatusCode::kFailedPrecondition},
      {"ErrorIsText", button, "{\"Err\":\"5\"}", StatusCode::kDataLoss},
      {"ErrorTextIsNumber", button, "{\"ErrString\":5}", StatusCode::kDataLoss},
      {"SomethingElse", button, threads, StatusCode::kDataLoss},
      {"OkForThreads", status, "\"Ok\"", StatusCode::kDataLoss},
      {"NewKind", button, "{\"SomethingNew\":{\"a\":1}}",
       StatusCode::kDataLoss},
      {"OtherWord", button, "\"ok\"", StatusCode::kDataLoss},
      {"TrailingNul", button, std::string("\"Ok\"\0", 5),
       StatusCode::kDataLoss},
      {"NoJson", button, "Ok", StatusCode::kDataLoss},
      {"Half", status, threads.substr(0, 20), StatusCode::kDataLoss},
  };
}

class ControlConversationTest : public TestWithParam<Case> {};

TEST_P(ControlConversationTest, Table) {
  ControlConversation conversation(GetParam().request);
  const Transcript transcript = Drive(&conversation, {GetParam().packet});
  EXPECT_THAT(transcript.status, StatusIs(GetParam().code));
  EXPECT_EQ(transcript.is_done, GetParam().code == StatusCode::kOk);
  EXPECT_EQ(transcript.status.message().find('\x1b'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(All, ControlConversationTest, ValuesIn(Cases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(ControlConversationEndTest, IsAnAnswerToExitOnly) {
  EXPECT_THAT(ControlConversation(Request::kStop).ReceiveEnd(), IsOk());
  EXPECT_THAT(ControlConversation(Request::kPressPowerButton).ReceiveEnd(),
              StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace vmsilo::hypervisor::crosvm
