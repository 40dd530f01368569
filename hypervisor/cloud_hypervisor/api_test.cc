#include "hypervisor/cloud_hypervisor/api.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/http.h"
#include "hypervisor/conversation.h"
#include "hypervisor/testing/conversation_driver.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

// As Cloud Hypervisor's server writes them: a space after the code, and no
// reason.
std::string Answer(int code, absl::string_view body) {
  return absl::StrCat("HTTP/1.1 ", code,
                      " \r\nServer: Cloud Hypervisor API\r\nConnection: "
                      "keep-alive\r\nContent-Type: application/json\r\n"
                      "Content-Length: ",
                      body.size(), "\r\n\r\n", body);
}

const char k204[] =
    "HTTP/1.1 204 \r\nServer: Cloud Hypervisor API\r\nConnection: "
    "keep-alive\r\n\r\n";
const char k503[] =
    "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\n"
    "Content-Length: 40\r\n\r\n{ \"error\": \"Too many open connections\" }";
const char k100[] = "HTTP/1.1 100 \r\n\r\n";
const char kPing[] =
    R"({"build_version":"v53.0","version":"53.0.0","pid":7,"features":[]})";
const char kInfo[] =
    R"({"config":{},"state":"Paused","memory_actual_size":1073741824})";

struct Case {
  const char* name;
  Request request;
  std::string received;
  bool is_done;
  StatusCode code;
};

std::vector<Case> Cases() {
  const Request button = Request::kPressPowerButton;
  return {
      {"NoContent", button, k204, true, StatusCode::kOk},
      {"AfterContinue", button, absl::StrCat(k100, k204), true,
       StatusCode::kOk},
      {"EmptyBody", Request::kStop, Answer(200, ""), true, StatusCode::kOk},
      {"Ping", Request::kPing, Answer(200, kPing), true, StatusCode::kOk},
      {"Reason", button, "HTTP/1.1 204 No Content\r\n\r\n", true,
       StatusCode::kOk},
      {"OldVersion", button, "HTTP/1.0 204 \r\n\r\n", true, StatusCode::kOk},
      {"LengthInAnyCase", Request::kPing,
       absl::StrCat("HTTP/1.1 200 \r\ncontent-LENGTH:",
                    absl::string_view(kPing).size(), "\r\n\r\n", kPing),
       true, StatusCode::kOk},
      {"NotYet", Request::kPing, Answer(200, kPing).substr(0, 130), false,
       StatusCode::kOk},

      {"TooManyConnections", button, k503, false, StatusCode::kUnavailable},
      {"NotFound", button, Answer(404, "[\"Not Found\"]"), false,
       StatusCode::kNotFound},
      {"Refused", button, Answer(500, "[\"Error from API\",\"no VM\"]"), false,
       StatusCode::kFailedPrecondition},
      {"PlainTextError", button, Answer(400, "no"), false,
       StatusCode::kFailedPrecondition},
      // From the server's library: an object with a raw line break in it.
      {"ParseError", button,
       Answer(400,
              "{ \"error\": \"Invalid request.\nAll previous unanswered "
              "requests will be dropped.\" }"),
       false, StatusCode::kFailedPrecondition},

      {"NotHttp", button, "SSH-2.0-OpenSSH\r\n", false, StatusCode::kDataLoss},
      {"NoCode", button, "HTTP/1.1 OK\r\n\r\n", false, StatusCode::kDataLoss},
      {"CodeOutOfRange", button, "HTTP/1.1 999 \r\n\r\n", false,
       StatusCode::kDataLoss},
      {"NoColon", button, "HTTP/1.1 204 \r\nServer\r\n\r\n", false,
       StatusCode::kDataLoss},
      {"TwoLengths", button,
       "HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
       false, StatusCode::kDataLoss},
      {"NegativeLength", button, "HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n",
       false, StatusCode::kDataLoss},
      {"HugeLength", button,
       "HTTP/1.1 200 \r\nContent-Length: 99999999999\r\n\r\n", false,
       StatusCode::kDataLoss},
      {"Chunked", button, "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n",
       false, StatusCode::kDataLoss},
      {"PingIsNoObject", Request::kPing, Answer(200, "[]"), false,
       StatusCode::kDataLoss},
      {"PingIsNoJson", Request::kPing, Answer(200, "{"), false,
       StatusCode::kDataLoss},
  };
}

class ApiConversationTest : public TestWithParam<Case> {
 protected:
  void Expect(const std::vector<std::string>& pieces) {
    ApiConversation conversation(GetParam().request);
    const Transcript transcript = Drive(&conversation, pieces);
    EXPECT_THAT(transcript.status, StatusIs(GetParam().code));
    EXPECT_EQ(transcript.is_done, GetParam().is_done);
    EXPECT_THAT(std::string(transcript.status.message()), Not(HasSubstr("\n")));
  }
};

TEST_P(ApiConversationTest, Whole) { Expect({GetParam().received}); }

TEST_P(ApiConversationTest, CutAtEveryByte) {
  for (size_t i = 0; i <= GetParam().received.size(); ++i) {
    Expect(CutAt(GetParam().received, i));
  }
}

TEST_P(ApiConversationTest, ByteByByte) {
  Expect(Bytewise(GetParam().received));
}

INSTANTIATE_TEST_SUITE_P(All, ApiConversationTest, ValuesIn(Cases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(ApiConversationRequestTest, SendsNoBody) {
  EXPECT_EQ(ApiConversation(Request::kPressPowerButton).Begin(),
            "PUT /api/v1/vm.power-button HTTP/1.1\r\nHost: localhost\r\n"
            "Accept: */*\r\n\r\n");
  EXPECT_THAT(ApiConversation(Request::kStop).Begin(),
              HasSubstr("PUT /api/v1/vmm.shutdown HTTP/1.1\r\n"));
  EXPECT_THAT(ApiConversation(Request::kPing).Begin(),
              HasSubstr("GET /api/v1/vmm.ping HTTP/1.1\r\n"));
}

TEST(ApiConversationStatusTest, AsksForTheVersionAndTheVm) {
  ApiConversation conversation(Request::kQueryStatus);
  const Transcript transcript =
      Drive(&conversation, {Answer(200, kPing), Answer(200, kInfo)});
  EXPECT_TRUE(transcript.is_done);
  EXPECT_THAT(transcript.sent, HasSubstr("vmm.ping"));
  EXPECT_THAT(transcript.sent, HasSubstr("GET /api/v1/vm.info"));
  EXPECT_EQ(transcript.vm.state, VmStatus::State::kPaused);
  EXPECT_EQ(transcript.vm.version, "53.0.0");
  EXPECT_EQ(transcript.vm.pid, 7);
  EXPECT_EQ(transcript.vm.memory, GiB(1));
}

TEST(ApiConversationStatusTest, NoVm) {
  for (const int code : {404, 500}) {
    ApiConversation conversation(Request::kQueryStatus);
    const Transcript transcript =
        Drive(&conversation,
              {Answer(200, kPing), Answer(code, "[\"VM is not created\"]")});
    EXPECT_TRUE(transcript.is_done);
    EXPECT_EQ(transcript.vm.state, VmStatus::State::kNone);
  }
}

TEST(ApiConversationStatusTest, StrangeInfo) {
  for (const char* body : {"{}", "[]", "{\"state\":7}", "x"}) {
    ApiConversation conversation(Request::kQueryStatus);
    EXPECT_THAT(
        Drive(&conversation, {Answer(200, kPing), Answer(200, body)}).status,
        StatusIs(StatusCode::kDataLoss));
  }
  ApiConversation conversation(Request::kQueryStatus);
  const Transcript negative =
      Drive(&conversation,
            {Answer(200, kPing),
             Answer(200, R"({"state":"New","memory_actual_size":-1})")});
  EXPECT_TRUE(negative.is_done);
  EXPECT_EQ(negative.vm.memory, std::nullopt);
  EXPECT_EQ(negative.vm.state, VmStatus::State::kOther);
}

TEST(ApiConversationEndTest, IsAnAnswerToShutdownOnly) {
  EXPECT_THAT(ApiConversation(Request::kStop).ReceiveEnd(), IsOk());
  EXPECT_THAT(ApiConversation(Request::kPressPowerButton).ReceiveEnd(),
              StatusIs(StatusCode::kUnavailable));
  ApiConversation half(Request::kStop);
  Drive(&half, {"HTTP/1.1 2"});
  EXPECT_THAT(half.ReceiveEnd(), StatusIs(StatusCode::kUnavailable));
}

TEST(HttpReaderTest, BoundsTheHeader) {
  HttpReader reader;
  const absl::StatusOr<std::optional<HttpResponse>> response = reader.Receive(
      absl::StrCat("HTTP/1.1 200 \r\nX: ", std::string(kMaxHeaderBytes, 'x')));
  EXPECT_THAT(response, StatusIs(StatusCode::kDataLoss));
}

TEST(ErrorTextTest, ShowsForeignBytesEscaped) {
  EXPECT_EQ(ErrorText(R"(["Error from API","VM is not created"])"),
            "Error from API: VM is not created");
  EXPECT_EQ(ErrorText("plain\x1b text\n"), "plain\\x1b text");
  EXPECT_EQ(ErrorText(""), "");
  EXPECT_EQ(ErrorText("[1,{}]"), "");
  EXPECT_LE(
      ErrorText(absl::StrCat("[\"", std::string(5000, 'x'), "\"]")).size(),
      300u);
}

}  // namespace
}  // namespace vmsilo::hypervisor::cloud_hypervisor
