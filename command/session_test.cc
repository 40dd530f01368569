#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "command/client.h"
#include "command/frame.h"
#include "command/limits.h"
#include "command/server.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::command {
namespace {

using ::absl::StatusCode;
using ::testing::HasSubstr;
using ::testing::Optional;

std::string Bytes(const std::vector<Frame>& frames) {
  std::string out;
  for (const Frame& frame : frames) AppendFrame(frame, &out);
  return out;
}

// Writes down what a session reports.
class ClientLog : public ClientSession::Handler {
 public:
  void OnStarted(uint32_t pid) override { absl::StrAppend(&text, "+", pid); }
  void OnOutput(Stream stream, absl::string_view bytes) override {
    absl::StrAppend(&text, " ", static_cast<int>(stream), ":", bytes);
  }
  void OnOutputEnd(Stream stream) override {
    absl::StrAppend(&text, " ", static_cast<int>(stream), "$");
  }
  std::string text;
};

class ServerLog : public ServerSession::Handler {
 public:
  void OnStart(const Start& start) override {
    absl::StrAppend(&text, start.arguments[0]);
  }
  void OnStdin(absl::string_view bytes) override {
    absl::StrAppend(&text, " ", bytes);
  }
  void OnStdinEnd() override { absl::StrAppend(&text, " $"); }
  void OnWindowSize(const WindowSize& size) override {
    absl::StrAppend(&text, " ", size.rows, "x", size.columns);
  }
  void OnSignal(uint8_t number) override {
    absl::StrAppend(&text, " !", number);
  }
  std::string text;
};

Start Command(absl::string_view name) {
  return Start{.arguments = {std::string(name)}};
}

// Feeds `bytes` in two pieces.
template <typename Session>
absl::Status Feed(Session& session, absl::string_view bytes, size_t cut) {
  absl::Status status = session.Receive(bytes.substr(0, cut));
  if (!status.ok()) return status;
  return session.Receive(bytes.substr(cut));
}

TEST(ClientSessionTest, FollowsACommandWhereverTheBytesAreCut) {
  const std::string script =
      Bytes({Hello{}, Started{7}, Data{Stream::kStdout, "out"},
             Data{Stream::kStderr, "err"}, End{Stream::kStdout},
             End{Stream::kStderr}, Exit{Exit::How::kExited, 3}});
  for (size_t cut = 0; cut <= script.size(); ++cut) {
    ClientLog log;
    ClientSession session(Command("x"), &log);
    ASSERT_THAT(Feed(session, script, cut), IsOk()) << cut;
    EXPECT_EQ(log.text, "+7 1:out 2:err 1$ 2$");
    ASSERT_TRUE(session.outcome().has_value());
    EXPECT_EQ(ExitStatus(*session.outcome()), 3);
    EXPECT_THAT(session.ReceiveEnd(), IsOk());
    EXPECT_EQ(session.pending(), Bytes({Hello{}, Command("x")}));
  }
}

TEST(ClientSessionTest, AConnectionThatEndsEarlySaysHowFarItCame) {
  const std::string script =
      Bytes({Hello{}, Started{7}, Data{Stream::kStdout, "out"},
             End{Stream::kStdout}, End{Stream::kStderr}, Exit{}});
  for (size_t cut = 0; cut < script.size(); ++cut) {
    ClientLog log;
    ClientSession session(Command("x"), &log);
    ASSERT_THAT(session.Receive(absl::string_view(script).substr(0, cut)),
                IsOk());
    const char* words = cut < 24   ? "before the agent answered"
                        : cut < 36 ? "before the command was started"
                                   : "while the command was running";
    EXPECT_THAT(session.ReceiveEnd(),
                StatusIs(StatusCode::kUnavailable, HasSubstr(words)));
    EXPECT_EQ(session.has_hello(), cut >= 24);
  }
}

TEST(ClientSessionTest, TakesAnErrorAtAnyTime) {
  const Error error = MakeError(ErrorCode::kVmUnreachable, "no VM");
  for (const std::vector<Frame>& before :
       std::vector<std::vector<Frame>>{{}, {Hello{}}, {Hello{}, Started{1}}}) {
    ClientLog log;
    ClientSession session(Command("x"), &log);
    ASSERT_THAT(session.Receive(Bytes(before)), IsOk());
    ASSERT_THAT(session.Receive(Bytes({error})), IsOk());
    EXPECT_THAT(session.outcome(), Optional(Outcome(error)));
    EXPECT_EQ(ExitStatus(*session.outcome()), 125);
  }
}

TEST(ClientSessionTest, ADetachedCommandIsDoneWhenItIsStarted) {
  ClientLog log;
  ClientSession session(Start{.detach = true, .arguments = {"x"}}, &log);
  ASSERT_THAT(session.Receive(Bytes({Hello{}, Started{9}})), IsOk());
  EXPECT_THAT(session.outcome(), Optional(Outcome(Detached{9})));
  EXPECT_EQ(ExitStatus(*session.outcome()), 0);
  EXPECT_EQ(session.StdinCapacity(), 0u);
}

TEST(ClientSessionTest, ATerminalHasOneStreamToEnd) {
  ClientLog log;
  ClientSession session(Start{.tty = true, .arguments = {"x"}}, &log);
  ASSERT_THAT(session.Receive(Bytes({Hello{}, Started{9}, End{Stream::kStdout},
                                     Exit{Exit::How::kExited, 4}})),
              IsOk());
  EXPECT_EQ(ExitStatus(*session.outcome()), 4);
}

TEST(ClientSessionTest, RefusesWhatAnAgentMayNotSend) {
  const struct {
    const char* name;
    std::vector<Frame> frames;
  } kCases[] = {
      {"StartedFirst", {Started{1}}},
      {"HelloTwice", {Hello{}, Hello{}}},
      {"DataBeforeStarted", {Hello{}, Data{Stream::kStdout, "x"}}},
      {"ExitBeforeStarted", {Hello{}, Exit{}}},
      {"Stdin", {Hello{}, Started{1}, Data{Stream::kStdin, "x"}}},
      {"EndOfStdin", {Hello{}, Started{1}, End{Stream::kStdin}}},
      {"EndTwice",
       {Hello{}, Started{1}, End{Stream::kStdout}, End{Stream::kStdout}}},
      {"DataAfterEnd",
       {Hello{}, Started{1}, End{Stream::kStdout}, Data{Stream::kStdout, "x"}}},
      {"CreditForOutput", {Hello{}, Started{1}, Credit{Stream::kStdout, 1}}},
      {"TooMuchCredit",
       {Hello{1, 1, kMaxWindow}, Started{1}, Credit{Stream::kStdin, 1}}},
      {"StartedTwice", {Hello{}, Started{1}, Started{1}}},
      {"WindowSize", {Hello{}, Started{1}, WindowSize{}}},
      {"Signal", {Hello{}, Started{1}, Signal{1}}},
      {"ExitBeforeAnEnd", {Hello{}, Started{1}, Exit{}}},
      {"ExitBeforeTheEndOfStderr",
       {Hello{}, Started{1}, End{Stream::kStdout}, Exit{}}},
      {"ExitBeforeTheEndOfStdout",
       {Hello{}, Started{1}, End{Stream::kStderr}, Exit{}}},
      {"KilledByNoSignal",
       {Hello{}, Started{1}, End{Stream::kStdout}, End{Stream::kStderr},
        Exit{Exit::How::kKilled, 200}}},
      {"AfterExit",
       {Hello{}, Started{1}, End{Stream::kStdout}, End{Stream::kStderr}, Exit{},
        Exit{}}},
  };
  for (const auto& test : kCases) {
    const std::string script = Bytes(test.frames);
    for (size_t cut = 0; cut <= script.size(); ++cut) {
      ClientLog log;
      ClientSession session(Command("x"), &log);
      EXPECT_THAT(Feed(session, script, cut),
                  StatusIs(StatusCode::kInvalidArgument))
          << test.name << cut;
      EXPECT_THAT(session.Receive(Bytes({Hello{}})),
                  StatusIs(StatusCode::kInvalidArgument));
    }
  }
}

TEST(ClientSessionTest, RefusesAnAgentOfTheFuture) {
  ClientLog log;
  ClientSession session(Command("x"), &log);
  EXPECT_THAT(
      session.Receive(Bytes({Hello{kVersion + 1, kVersion + 1, kMinWindow}})),
      StatusIs(StatusCode::kFailedPrecondition, HasSubstr("version")));
}

TEST(ClientSessionTest, DoesNotTakeMoreOutputThanItOffered) {
  ClientLog log;
  ClientSession session(Command("x"), &log);
  ASSERT_THAT(session.Receive(Bytes({Hello{}, Started{1}})), IsOk());
  session.Consume(session.pending().size());
  const std::string chunk(kMaxDataBytes, 'x');
  const std::string data = Bytes({Data{Stream::kStdout, chunk}});
  for (size_t sent = 0; sent < kDefaultWindow; sent += chunk.size()) {
    ASSERT_THAT(session.Receive(data), IsOk());
  }
  EXPECT_EQ(session.pending(), "");
  session.Consumed(Stream::kStdout, kDefaultWindow / kCreditParts - 1);
  EXPECT_EQ(session.pending(), "");
  session.Consumed(Stream::kStdout, 1);
  EXPECT_EQ(session.pending(),
            Bytes({Credit{Stream::kStdout, kDefaultWindow / kCreditParts}}));
  ASSERT_THAT(session.Receive(data), IsOk());
  EXPECT_THAT(session.Receive(Bytes({Data{Stream::kStdout, "x"}})),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("offered")));
}

TEST(ClientSessionTest, SendsStandardInputWithinItsCredit) {
  ClientLog log;
  ClientSession session(Command("x"), &log);
  EXPECT_EQ(session.StdinCapacity(), 0u);
  ASSERT_THAT(session.Receive(Bytes({Hello{1, 1, kMinWindow}})), IsOk());
  EXPECT_EQ(session.StdinCapacity(), kMinWindow);
  session.SendStdin(std::string(kMinWindow, 'x'));
  EXPECT_EQ(session.StdinCapacity(), 0u);
  ASSERT_THAT(session.Receive(Bytes({Credit{Stream::kStdin, 9}})), IsOk());
  EXPECT_EQ(session.StdinCapacity(), 9u);
  session.Consume(session.pending().size());
  session.SendStdinEnd();
  session.SendStdinEnd();
  EXPECT_EQ(session.StdinCapacity(), 0u);
  EXPECT_EQ(session.pending(), Bytes({End{Stream::kStdin}}));
}

TEST(ClientSessionTest, StandardInputWaitsForAConnectionThatDoesNotDrain) {
  ClientLog log;
  ClientSession session(Command("x"), &log);
  ASSERT_THAT(session.Receive(Bytes({Hello{1, 1, kMaxWindow}})), IsOk());
  size_t sent = 0;
  while (const size_t capacity = session.StdinCapacity()) {
    session.SendStdin(std::string(capacity, 'x'));
    sent += capacity;
  }
  EXPECT_LT(sent, kMaxWindow);
  EXPECT_LE(session.pending().size(), kMaxQueuedBytes + 1024);
  session.Consume(100'000);
  EXPECT_GT(session.StdinCapacity(), 0u);
}

TEST(ClientSessionTest, SignalsAndSizesGoOnceTheCommandIsAskedFor) {
  ClientLog log;
  ClientSession session(Start{.tty = true, .arguments = {"x"}}, &log);
  EXPECT_FALSE(session.SendSignal(2));
  session.SendWindowSize({50, 90});
  session.Consume(session.pending().size());
  ASSERT_THAT(session.Receive(Bytes({Hello{}})), IsOk());
  EXPECT_EQ(
      session.pending(),
      Bytes({Start{.tty = true, .window_size = {50, 90}, .arguments = {"x"}}}));
  session.Consume(session.pending().size());
  EXPECT_TRUE(session.SendSignal(2));
  EXPECT_FALSE(session.SendSignal(0));
  EXPECT_FALSE(session.SendSignal(65));
  session.SendWindowSize({51, 91});
  EXPECT_EQ(session.pending(), Bytes({Signal{2}, WindowSize{51, 91}}));
}

TEST(ExitStatusTest, IsWhatAShellWouldReport) {
  EXPECT_EQ(ExitStatus(Exit{Exit::How::kExited, 0}), 0);
  EXPECT_EQ(ExitStatus(Exit{Exit::How::kExited, 255}), 255);
  EXPECT_EQ(ExitStatus(Exit{Exit::How::kKilled, 15}), 143);
  EXPECT_EQ(ExitStatus(MakeError(ErrorCode::kCommandNotFound, "")), 127);
  EXPECT_EQ(ExitStatus(MakeError(ErrorCode::kNotExecutable, "")), 126);
  EXPECT_EQ(ExitStatus(Error{9999, ""}), 125);
}

TEST(MayPassOnTest, KnowsTheAllowList) {
  for (const char* good : {"TERM=xterm", "COLORTERM=", "LANG=C", "LC_ALL=x"}) {
    EXPECT_TRUE(MayPassOn(good)) << good;
  }
  for (const char* bad : {"TERM", "LC_=x", "TERMINAL=x", "PATH=/bin",
                          "LD_PRELOAD=x", "term=x", "LANGUAGE=de", ""}) {
    EXPECT_FALSE(MayPassOn(bad)) << bad;
  }
}

TEST(ServerSessionTest, FollowsAClientWhereverTheBytesAreCut) {
  Start start{.tty = true, .arguments = {"vi"}};
  const std::string script =
      Bytes({Hello{}, start, Data{Stream::kStdin, "ab"}, WindowSize{3, 4},
             Signal{2}, Credit{Stream::kStdout, 5}, End{Stream::kStdin}});
  for (size_t cut = 0; cut <= script.size(); ++cut) {
    ServerLog log;
    ServerSession session(&log);
    ASSERT_THAT(Feed(session, script, cut), IsOk()) << cut;
    EXPECT_EQ(log.text, "vi ab 3x4 !2 $");
    EXPECT_EQ(session.pending(), Bytes({Hello{}}));
    EXPECT_TRUE(session.has_start());
    EXPECT_FALSE(session.is_finished());
  }
}

TEST(ServerSessionTest, SendsTheCommandsLife) {
  ServerLog log;
  ServerSession session(&log);
  ASSERT_THAT(session.Receive(Bytes({Hello{}, Command("x")})), IsOk());
  EXPECT_EQ(session.OutputCapacity(Stream::kStdout), 0u);
  session.SendStarted(5);
  EXPECT_EQ(session.OutputCapacity(Stream::kStdout), kMaxDataBytes);
  EXPECT_EQ(session.OutputCapacity(Stream::kStdin), 0u);
  session.SendOutput(Stream::kStdout, "o");
  session.SendOutputEnd(Stream::kStdout);
  EXPECT_EQ(session.OutputCapacity(Stream::kStdout), 0u);
  session.Finish({Exit::How::kKilled, 9});
  session.Finish({Exit::How::kKilled, 9});
  session.Fail(ErrorCode::kInternal, "too late");
  EXPECT_TRUE(session.is_finished());
  EXPECT_EQ(session.pending(),
            Bytes({Hello{}, Started{5}, Data{Stream::kStdout, "o"},
                   End{Stream::kStdout}, End{Stream::kStderr},
                   Exit{Exit::How::kKilled, 9}}));
}

TEST(ServerSessionTest, RefusesWhatAClientMayNotSendAndSaysSo) {
  const struct {
    const char* name;
    std::vector<Frame> frames;
  } kCases[] = {
      {"StartFirst", {Command("x")}},
      {"HelloTwice", {Hello{}, Hello{}}},
      {"StartTwice", {Hello{}, Command("x"), Command("x")}},
      {"DataBeforeStart", {Hello{}, Data{Stream::kStdin, "x"}}},
      {"Stdout", {Hello{}, Command("x"), Data{Stream::kStdout, "x"}}},
      {"CreditForStdin", {Hello{}, Command("x"), Credit{Stream::kStdin, 1}}},
      {"EndTwice",
       {Hello{}, Command("x"), End{Stream::kStdin}, End{Stream::kStdin}}},
      {"SizeWithoutTerminal", {Hello{}, Command("x"), WindowSize{}}},
      {"Exit", {Hello{}, Command("x"), Exit{}}},
      {"Error", {Hello{}, Error{}}},
      {"SignalDetached",
       {Hello{}, Start{.detach = true, .arguments = {"x"}}, Signal{2}}},
  };
  for (const auto& test : kCases) {
    const std::string script = Bytes(test.frames);
    for (size_t cut = 0; cut <= script.size(); ++cut) {
      ServerLog log;
      ServerSession session(&log);
      const absl::Status status = Feed(session, script, cut);
      EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument))
          << test.name << cut;
      EXPECT_TRUE(session.is_finished());
      EXPECT_EQ(
          session.pending(),
          Bytes({Hello{}, MakeError(ErrorCode::kProtocol, status.message())}));
    }
  }
}

TEST(ServerSessionTest, AnswersAnOldClientWithTheVersions) {
  ServerLog log;
  ServerSession session(&log);
  EXPECT_THAT(session.Receive(Bytes({Hello{9, 10, kMinWindow}})),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(session.pending(), HasSubstr("9 to 10"));
}

TEST(ServerSessionTest, IgnoresWhatComesAfterTheEnd) {
  ServerLog log;
  ServerSession session(&log);
  ASSERT_THAT(session.Receive(Bytes({Hello{}, Command("x")})), IsOk());
  session.SendStarted(1);
  session.Finish({});
  EXPECT_THAT(session.Receive(Bytes({Signal{2}, Data{Stream::kStdin, "x"}})),
              IsOk());
  EXPECT_EQ(log.text, "x");
}

// Both ends, each byte by way of the other's codec.
TEST(SessionsTest, ACatOfAMegabyteGoesThroughInBoundedMemory) {
  class Cat : public ServerLog {
   public:
    void OnStart(const Start&) override { session->SendStarted(1); }
    void OnStdin(absl::string_view bytes) override {
      absl::StrAppend(&held, bytes);
    }
    void OnStdinEnd() override { has_end = true; }
    ServerSession* session = nullptr;
    std::string held;
    bool has_end = false;
  };
  class Collect : public ClientLog {
   public:
    void OnOutputEnd(Stream) override {}
    void OnOutput(Stream, absl::string_view bytes) override {
      absl::StrAppend(&text, bytes);
      unconsumed += bytes.size();
    }
    size_t unconsumed = 0;
  };
  std::string input;
  while (input.size() < 1'000'003) absl::StrAppend(&input, input.size(), "-");

  Cat cat;
  ServerSession server(&cat);
  cat.session = &server;
  Collect collect;
  ClientSession client(Command("cat"), &collect);
  size_t sent = 0;
  size_t most_held = 0;
  for (int round = 0; !client.outcome().has_value(); ++round) {
    ASSERT_LT(round, 10'000);
    // Uneven pieces, so that frames are cut anywhere.
    const size_t piece = 1 + (round * 7919) % 50'000;
    if (const size_t n =
            std::min(client.StdinCapacity(), input.size() - sent)) {
      client.SendStdin(absl::string_view(input).substr(sent, n));
      sent += n;
    }
    if (sent == input.size()) client.SendStdinEnd();
    absl::string_view up = client.pending().substr(0, piece);
    ASSERT_THAT(server.Receive(up), IsOk());
    client.Consume(up.size());
    while (const size_t n = std::min(server.OutputCapacity(Stream::kStdout),
                                     cat.held.size())) {
      server.SendOutput(Stream::kStdout,
                        absl::string_view(cat.held).substr(0, n));
      cat.held.erase(0, n);
      server.Consumed(n);
    }
    most_held = std::max(most_held, cat.held.size() + server.pending().size());
    if (cat.has_end && cat.held.empty()) server.Finish({});
    absl::string_view down = server.pending().substr(0, piece);
    ASSERT_THAT(client.Receive(down), IsOk());
    server.Consume(down.size());
    // A reader that is slow now and then.
    if (round % 3 == 0) {
      client.Consumed(Stream::kStdout,
                      std::exchange(collect.unconsumed, size_t{0}));
    }
  }
  EXPECT_EQ(collect.text.substr(2), input);  // behind "+1"
  EXPECT_LE(most_held, 2 * kDefaultWindow + kMaxQueuedBytes);
}

}  // namespace
}  // namespace vmsilo::command
