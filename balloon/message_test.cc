#include "balloon/message.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "balloon/limits.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloon {
namespace {

using ::testing::HasSubstr;

// Without its end, which there is only one of.
std::string Line(const std::string& encoded) {
  EXPECT_EQ(encoded.find('\n'), encoded.size() - 1);
  return std::string(absl::StripSuffix(encoded, "\n"));
}

Status Example() {
  Status status;
  status.policy = "level";
  status.is_dry_run = true;
  status.rounds = 7;
  status.queries = 14;
  status.resizes = 3;
  status.host = {.total = 100,
                 .available = 50,
                 .free = 40,
                 .critical = 5,
                 .pressure = 1.25,
                 .exposure = 60};
  status.vms.push_back({.name = "net",
                        .hypervisor = "crosvm",
                        .reason = "excluded",
                        .excluded = "passed-through devices",
                        .memory = 1000});
  status.vms.push_back({.name = "work",
                        .hypervisor = "qemu",
                        .is_managed = true,
                        .reason = "shared",
                        .error = "no driver",
                        .memory = 4096,
                        .guaranteed = 512,
                        .balloon = 100,
                        .target = 200,
                        .fixed = 200,
                        .free = 1,
                        .caches = 2,
                        .available = 3,
                        .resident = 4,
                        .oom_kills = 5,
                        .age = 6});
  return status;
}

TEST(MessageTest, RequestsComeBackAsTheyWere) {
  for (const Request& request : std::vector<Request>{
           StatusRequest(), WatchRequest(), MetricsRequest(),
           SetRequest{.vm = "work", .balloon = 1 << 30},
           SetRequest{.vm = "work", .balloon = 0}, SetRequest{.vm = "work"}}) {
    EXPECT_THAT(DecodeRequest(Line(Encode(request))), IsOkAndHolds(request));
  }
}

TEST(MessageTest, AnswersComeBackAsTheyWere) {
  for (const Answer& answer : std::vector<Answer>{
           Example(), Metrics{.text = "a 1\nb 2\n# EOF\n"}, Done()}) {
    EXPECT_THAT(DecodeAnswer(Line(Encode(answer))), IsOkAndHolds(answer));
  }
}

TEST(MessageTest, IsWrittenAsDocumented) {
  EXPECT_EQ(Encode(Request(SetRequest{.vm = "work", .balloon = 1024})),
            "{\"request\":\"set\",\"silo\":\"work\",\"balloon\":1024}\n");
  EXPECT_EQ(Encode(Request(SetRequest{.vm = "work"})),
            "{\"request\":\"set\",\"silo\":\"work\",\"balloon\":\"auto\"}\n");
  EXPECT_THAT(Encode(Answer(Example())),
              HasSubstr(R"("host":{"total":100,"available":50,"free":40,)"
                        R"("critical":5,"pressure":1.250,"exposure":60})"));
  // What is not known is absent.
  EXPECT_THAT(
      Encode(Answer(Example())),
      HasSubstr(R"({"name":"net","hypervisor":"crosvm","managed":false,)"
                R"("reason":"excluded","excluded":"passed-through devices",)"
                R"("memory":1000,"guaranteed":0})"));
}

TEST(MessageTest, ErrorsKeepTheirKind) {
  for (const absl::Status& error :
       {absl::InvalidArgumentError("a"), absl::NotFoundError("b"),
        absl::PermissionDeniedError("c"), absl::FailedPreconditionError("d"),
        absl::ResourceExhaustedError("e"), absl::InternalError("f")}) {
    EXPECT_EQ(DecodeAnswer(Line(EncodeError(error))).status(), error);
  }
  // Others are failures of ours.
  EXPECT_EQ(DecodeAnswer(Line(EncodeError(absl::AbortedError("g")))).status(),
            absl::InternalError("g"));
}

TEST(MessageTest, ErrorsCarryNothingForeign) {
  const std::string line = Line(
      EncodeError(absl::NotFoundError("a\n\x1b[2J" + std::string(9999, 'x'))));
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_LT(line.size(), kMaxWordBytes + 100);
  EXPECT_THAT(DecodeAnswer(line), StatusIs(absl::StatusCode::kNotFound));
}

TEST(MessageTest, AFullHouseFitsIntoAnAnswer) {
  Status status = Example();
  Status::Vm vm = status.vms[1];
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  // A systemd unit's name bounds a silo's: vmsilo-NAME-vm.service.
  vm.name = std::string(236, 'n');
  vm.hypervisor = "cloud-hypervisor";
  vm.excluded = std::string(128, 'x');
  vm.error = std::string(256, 'x');
  vm.memory = vm.guaranteed = kMost;
  vm.balloon = vm.target = vm.fixed = vm.free = vm.caches = kMost;
  vm.available = vm.resident = vm.oom_kills = vm.age = kMost;
  status.vms.assign(kMaxVms, vm);
  const std::string line = Line(Encode(Answer(status)));
  EXPECT_LE(line.size(), kMaxAnswerBytes);
  EXPECT_THAT(DecodeAnswer(line), IsOk());
  status.vms.push_back(vm);
  EXPECT_THAT(DecodeAnswer(Line(Encode(Answer(status)))),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(MessageTest, WrongRequestsAreToldWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"status", ""},
      {"[]", "expected a table"},
      {"{}", "request.request: missing"},
      {R"({"request":1})", "request.request: expected"},
      {R"({"request":"stop"})", "'stop' is none of status"},
      {R"({"request":"set"})", "request.silo: missing"},
      {R"({"request":"set","silo":"a"})", "request.balloon: missing"},
      {R"({"request":"set","silo":"a","balloon":-1})", "request.balloon:"},
      {R"({"request":"set","silo":"a","balloon":"1G"})", "request.balloon:"},
      {R"({"request":"set","silo":"a\n","balloon":1})", "request.silo:"},
      {R"({"request":"status","request":"watch"})", "request"},
  };
  for (const auto& [line, why] : cases) {
    EXPECT_THAT(DecodeRequest(line),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)))
        << line;
  }
}

TEST(MessageTest, ARequestHasItsLimit) {
  std::string line = R"({"request":"status"})";
  line.append(kMaxRequestBytes - line.size(), ' ');
  EXPECT_THAT(DecodeRequest(line), IsOk());
  line += ' ';
  EXPECT_THAT(DecodeRequest(line), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("more than 1024 bytes")));
}

TEST(MessageTest, WrongAnswersAreErrors) {
  for (const char* line :
       {"", "{}", R"({"answer":"what"})", R"({"answer":"metrics"})",
        R"({"answer":"metrics","text":1})", R"({"answer":"status"})",
        R"({"answer":"error"})", R"({"answer":"error","code":"busy"})"}) {
    EXPECT_THAT(DecodeAnswer(line),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << line;
  }
}

}  // namespace
}  // namespace vmsilo::balloon
