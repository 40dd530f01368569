// The shipped program over a Unix socket, driven through the client's half of
// the protocol. One file, as all of it is one program's behaviour over one
// fixture.

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "command/client.h"
#include "command/frame.h"
#include "command/limits.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::agent {
namespace {

using ::absl::StatusCode;
using command::ClientSession;
using command::Error;
using command::ErrorCode;
using command::Exit;
using command::Start;
using command::Stream;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Start Shell(absl::string_view script) {
  return {.arguments = {"sh", "-c", std::string(script)}};
}

// A person's side of one command.
class Client : private ClientSession::Handler {
 public:
  Client(const std::string& path, Start start)
      : session_(std::move(start), this) {
    auto socket = ConnectUnix(path);
    EXPECT_THAT(socket, IsOk());
    if (socket.ok()) socket_ = *std::move(socket);
  }

  // Exchanges bytes until `is_done`, or the end of the connection.
  void RunUntil(const std::function<bool()>& is_done) {
    while (!is_done() && socket_.is_valid()) {
      if (const size_t capacity =
              std::min(session_.StdinCapacity(), input.size() - sent_)) {
        session_.SendStdin(absl::string_view(input).substr(sent_, capacity));
        sent_ += capacity;
      }
      if (ends_input && sent_ == input.size()) session_.SendStdinEnd();
      pollfd entry = {.fd = socket_.get(),
                      .events = static_cast<short>(
                          POLLIN | (session_.pending().empty() ? 0 : POLLOUT))};
      if (poll(&entry, 1, 20'000) != 1) {
        ADD_FAILURE() << "the agent is silent; so far: " << out << err;
        return;
      }
      if ((entry.revents & POLLOUT) != 0) {
        const ssize_t count =
            send(socket_.get(), session_.pending().data(),
                 session_.pending().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) session_.Consume(static_cast<size_t>(count));
      }
      if ((entry.revents & (POLLIN | POLLHUP)) != 0) {
        char buffer[100'000];
        const ssize_t count = recv(socket_.get(), buffer, sizeof(buffer), 0);
        if (count <= 0) {
          socket_.Reset();
          return;
        }
        const absl::Status status = session_.Receive(
            absl::string_view(buffer, static_cast<size_t>(count)));
        if (!status.ok()) {
          ADD_FAILURE() << status;
          return;
        }
      }
    }
  }

  // Until the agent closes the connection. What a shell would report.
  int Finish() {
    RunUntil([this] { return session_.outcome().has_value(); });
    EXPECT_THAT(session_.ReceiveEnd(), IsOk());
    return session_.outcome().has_value()
               ? command::ExitStatus(*session_.outcome())
               : -1;
  }

  void WaitForOutput(absl::string_view text) {
    RunUntil([&] { return absl::StrContains(out, text); });
    EXPECT_THAT(out, HasSubstr(std::string(text)));
  }

  std::optional<Error> error() const {
    if (!session_.outcome().has_value()) return std::nullopt;
    const auto* error = std::get_if<Error>(&*session_.outcome());
    return error == nullptr ? std::nullopt : std::optional<Error>(*error);
  }

  ClientSession& session() { return session_; }
  int fd() const { return socket_.get(); }
  void HangUp() { socket_.Reset(); }

  std::string input;
  bool ends_input = true;
  bool consumes = true;
  std::string out, err;
  uint32_t pid = 0;

 private:
  void OnStarted(uint32_t started) override { pid = started; }
  void OnOutput(Stream stream, absl::string_view bytes) override {
    absl::StrAppend(stream == Stream::kStdout ? &out : &err, bytes);
    if (consumes) session_.Consumed(stream, bytes.size());
  }
  void OnOutputEnd(Stream) override {}

  UniqueFd socket_;
  ClientSession session_;
  size_t sent_ = 0;
};

class AgentTest : public ::testing::Test {
 protected:
  void StartAgent(std::vector<std::string> options = {},
                  std::vector<std::string> prefix = {}) {
    std::vector<std::string> argv = std::move(prefix);
    for (const std::string& word :
         {Runfile("agent/vmsilo-agent"), absl::StrCat("--listen=unix:", Path()),
          absl::StrCat("--user=", UserName())}) {
      argv.push_back(word);
    }
    argv.insert(argv.end(), options.begin(), options.end());
    agent_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = argv,
         .environment = {{"SECRET", "of the agent"}, {"JOURNAL_STREAM", ""}}}));
    for (int i = 0; i < 400; ++i) {
      if (ConnectUnix(Path()).ok()) return;
      poll(nullptr, 0, 25);  // until it listens
    }
    FAIL() << "the agent does not listen";
  }

  std::string Path() const { return dir_.Path("agent.socket"); }

  static std::string UserName() {
    const passwd* entry = getpwuid(geteuid());
    return entry == nullptr ? "" : entry->pw_name;
  }

  Client Connect(Start start) { return Client(Path(), std::move(start)); }

  // Of a command, once the agent is done with those that filled it.
  int StatusOfTrueWhenThereIsRoom() {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    int status = 125;
    while (status == 125 && absl::Now() < end) {
      status = Connect({.arguments = {"true"}}).Finish();
    }
    return status;
  }

  // A path whose reader waits for a writer.
  std::string MakeFifo(absl::string_view name) {
    const std::string path = dir_.Path(name);
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  static std::string ReadFifo(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    return ReadUntil(fd.get(), "\n");
  }

  // Whether the process ends within the deadline.
  static bool Ends(uint32_t pid) {
    const UniqueFd fd(
        static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
    if (!fd.is_valid()) return errno == ESRCH;
    pollfd entry = {.fd = fd.get(), .events = POLLIN};
    return poll(&entry, 1, 20'000) == 1;
  }

  TempDir dir_;
  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(AgentTest, RunsACommandWithPipes) {
  StartAgent();
  Client client = Connect(Shell("cat; echo error >&2; exit 7"));
  client.input = "input";
  EXPECT_EQ(client.Finish(), 7);
  EXPECT_EQ(client.out, "input");
  EXPECT_EQ(client.err, "error\n");
}

TEST_F(AgentTest, ReportsTheSignalThatKilled) {
  StartAgent();
  Client client = Connect(Shell("kill -9 $$"));
  EXPECT_EQ(client.Finish(), 128 + 9);
}

TEST_F(AgentTest, SaysWhyACommandDoesNotStart) {
  StartAgent();
  const std::string data = dir_.Write("data", "no program");
  const struct {
    Start start;
    ErrorCode code;
    int status;
    const char* words;
  } kCases[] = {
      {{.arguments = {"no-such-command"}},
       ErrorCode::kCommandNotFound,
       127,
       "'no-such-command': No such file"},
      {{.arguments = {data}}, ErrorCode::kNotExecutable, 126, "Permission"},
      {{.arguments = {"/"}}, ErrorCode::kNotExecutable, 126, "Permission"},
      {{.directory = "/no/such/place", .arguments = {"true"}},
       ErrorCode::kCannotStart,
       125,
       "'/no/such/place': No such file"},
  };
  for (const auto& test : kCases) {
    Client client = Connect(test.start);
    EXPECT_EQ(client.Finish(), test.status);
    ASSERT_TRUE(client.error().has_value()) << test.words;
    EXPECT_EQ(client.error()->code, static_cast<uint16_t>(test.code));
    EXPECT_THAT(client.error()->message, HasSubstr(test.words));
  }
}

TEST_F(AgentTest, GivesACleanEnvironment) {
  StartAgent({"--env=FROM_AGENT=yes"});
  Client client = Connect(
      {.directory = "/", .arguments = {"env"}, .environment = {"TERM=xterm"}});
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_THAT(client.out,
              AllOf(HasSubstr("TERM=xterm\n"), HasSubstr("FROM_AGENT=yes\n"),
                    HasSubstr(absl::StrCat("USER=", UserName(), "\n")),
                    HasSubstr("HOME="), Not(HasSubstr("SECRET"))));
}

TEST_F(AgentTest, GivesNoDescriptorsSignalsOrLimitsOfItsOwn) {
  StartAgent();
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  Client client = Connect(
      Shell("echo /proc/self/fd/*; grep -E 'Sig(Blk|Ign)' /proc/self/status; "
            "ulimit -n; umask; pwd"));
  EXPECT_EQ(client.Finish(), 0);
  // The fourth is the directory that the shell reads.
  EXPECT_THAT(client.out, StartsWith("/proc/self/fd/0 /proc/self/fd/1 "
                                     "/proc/self/fd/2 /proc/self/fd/3\n"
                                     "SigBlk:\t0000000000000000\n"
                                     "SigIgn:\t0000000000000000\n"));
  EXPECT_THAT(client.out, HasSubstr(absl::StrCat("\n", files.rlim_cur, "\n")));
  EXPECT_THAT(client.out, HasSubstr("\n0022\n"));
}

TEST_F(AgentTest, CarriesMuchThroughACommand) {
  StartAgent();
  Client client = Connect({.arguments = {"cat"}});
  for (uint32_t i = 0; client.input.size() < 20'000'000; i += 7919) {
    absl::StrAppend(&client.input, i, " ");
  }
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_TRUE(client.out == client.input);
}

// A window for each stream, a queue, buffers, and what a process has anyway;
// sanitizers have more.
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kFewKilobytes = 65536;
#else
constexpr uint64_t kFewKilobytes = 4096;
#endif

TEST_F(AgentTest, AClientThatDoesNotReadCostsLittleMemory) {
  StartAgent();
  Client client =
      Connect({.arguments = {"head", "-c", "30000000", "/dev/zero"}});
  client.consumes = false;
  client.RunUntil([&] { return client.out.size() == command::kDefaultWindow; });
  // Nothing more comes, however long one waits.
  EXPECT_TRUE(IsSilentFor(client.fd(), absl::Milliseconds(300)));
  EXPECT_LT(PrivateKilobytes(agent_->pid()), kFewKilobytes);
  client.consumes = true;
  client.session().Consumed(Stream::kStdout, command::kDefaultWindow);
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_EQ(client.out.size(), 30'000'000u);
}

TEST_F(AgentTest, ACommandThatDoesNotReadStopsItsInputAndNothingElse) {
  StartAgent();
  const std::string fifo = MakeFifo("go");
  Client client = Connect(
      Shell(absl::StrCat("echo ready; read line < ", fifo, "; echo $line")));
  client.input = std::string(3'000'000, 'i');
  client.RunUntil([&] {
    return client.out == "ready\n" && client.session().StdinCapacity() == 0 &&
           client.session().pending().empty();
  });
  EXPECT_LT(PrivateKilobytes(agent_->pid()), kFewKilobytes);
  const UniqueFd writer(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(write(writer.get(), "on\n", 3), 3);
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_EQ(client.out, "ready\non\n");
}

TEST_F(AgentTest, SignalsGoToTheWholeGroup) {
  StartAgent();
  Client client =
      Connect(Shell("trap 'echo parent; exit 3' USR1; "
                    "sh -c 'trap \"echo child; exit\" USR1; echo ready; "
                    "while :; do sleep 0.05; done' & "
                    "wait; wait; exit 4"));
  client.ends_input = false;
  client.WaitForOutput("ready\n");
  EXPECT_TRUE(client.session().SendSignal(SIGUSR1));
  EXPECT_EQ(client.Finish(), 3);
  EXPECT_THAT(client.out, AllOf(HasSubstr("parent\n"), HasSubstr("child\n")));
}

TEST_F(AgentTest, GivesATerminal) {
  StartAgent();
  Start start = Shell(
      "test -t 0 && test -t 1 && test -t 2 && tty; stty size; echo $TERM; "
      "trap 'stty size; exit 5' WINCH; echo ready; "
      "while :; do sleep 0.05; done");
  start.tty = true;
  start.window_size = {.rows = 33, .columns = 77};
  start.environment = {"TERM=vt100"};
  Client client = Connect(start);
  client.ends_input = false;
  client.WaitForOutput("ready\r\n");
  EXPECT_THAT(client.out, AllOf(StartsWith("/dev/pts/"),
                                HasSubstr("\r\n33 77\r\nvt100\r\n")));
  client.session().SendWindowSize({.rows = 44, .columns = 99});
  EXPECT_EQ(client.Finish(), 5);
  EXPECT_THAT(client.out, HasSubstr("44 99\r\n"));
  EXPECT_EQ(client.err, "");
}

TEST_F(AgentTest, ATerminalsInterruptCharacterInterrupts) {
  StartAgent();
  Start start = Shell("echo ready; exec sleep 60");
  start.tty = true;
  Client client = Connect(start);
  client.ends_input = false;
  client.WaitForOutput("ready\r\n");
  client.input = "\x03";
  EXPECT_EQ(client.Finish(), 128 + SIGINT);
}

TEST_F(AgentTest, ASignalGoesToTheTerminalsForeground) {
  StartAgent();
  // An interactive shell gives each command a group of its own.
  Start start{
      .tty = true,
      .arguments = {
          "sh", "-i", "-c",
          "set -m; sh -c "
          "'trap \"exit 9\" INT; echo ready; while :; do sleep 0.05; done'; "
          "echo status $?"}};
  Client client = Connect(start);
  client.ends_input = false;
  client.WaitForOutput("ready\r\n");
  EXPECT_TRUE(client.session().SendSignal(SIGINT));
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_THAT(client.out, HasSubstr("status 9\r\n"));
}

TEST_F(AgentTest, TheEndOfInputEndsATerminalsInput) {
  StartAgent();
  Start start{.tty = true, .arguments = {"cat"}};
  Client client = Connect(start);
  client.input = "line\n";
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_THAT(client.out, HasSubstr("line\r\n"));
}

TEST_F(AgentTest, ADetachedCommandOutlivesItsConnection) {
  StartAgent();
  const std::string fifo = MakeFifo("fifo");
  Start start = Shell(absl::StrCat("cat; exec > ", fifo, "; echo alive"));
  start.detach = true;
  Client client = Connect(start);
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_GT(client.pid, 0u);
  client.HangUp();
  EXPECT_EQ(ReadFifo(fifo), "alive\n");
  EXPECT_TRUE(Ends(client.pid));
}

TEST_F(AgentTest, ADetachedCommandThatDoesNotStartSaysSo) {
  StartAgent();
  Client client = Connect({.detach = true, .arguments = {"no-such-command"}});
  EXPECT_EQ(client.Finish(), 127);
}

TEST_F(AgentTest, OutputThatIsHeldOpenDoesNotHoldUpTheEnd) {
  StartAgent();
  const std::string fifo = MakeFifo("go");
  // The background process has the output open until the fifo is written.
  Client client =
      Connect(Shell(absl::StrCat("(read x < ", fifo, ") & echo done")));
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_EQ(client.out, "done\n");
  const UniqueFd writer(open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(write(writer.get(), "\n", 1), 1);
}

TEST_F(AgentTest, LastWordsOfTheRestOfAPipelineArrive) {
  StartAgent();
  Client client = Connect(Shell("(sleep 0.1; echo late) & echo early"));
  EXPECT_EQ(client.Finish(), 0);
  EXPECT_EQ(client.out, "early\nlate\n");
}

TEST_F(AgentTest, HangsUpOnACommandWhoseClientIsGone) {
  StartAgent();
  const std::string fifo = MakeFifo("fifo");
  Client client = Connect(Shell(
      absl::StrCat("trap 'echo hung up > ", fifo,
                   "; exit' HUP; echo ready; while :; do sleep 0.05; done")));
  client.ends_input = false;
  client.WaitForOutput("ready\n");
  client.HangUp();
  EXPECT_EQ(ReadFifo(fifo), "hung up\n");
  EXPECT_TRUE(Ends(client.pid));
}

TEST_F(AgentTest, KillsACommandThatIgnoresTheHangUp) {
  StartAgent();
  Start start = Shell("trap '' HUP; echo ready; while :; do sleep 1; done");
  Client client = Connect(start);
  client.ends_input = false;
  client.WaitForOutput("ready\n");
  client.HangUp();
  EXPECT_TRUE(Ends(client.pid));
}

TEST_F(AgentTest, HangsUpOnATerminal) {
  StartAgent();
  Start start = Shell("echo ready; sleep 60; echo never");
  start.tty = true;
  Client client = Connect(start);
  client.ends_input = false;
  client.WaitForOutput("ready\r\n");
  client.HangUp();
  EXPECT_TRUE(Ends(client.pid));
}

TEST_F(AgentTest, RunsAHundredAtTheSameTime) {
  StartAgent();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(
        std::make_unique<Client>(Path(), Start{.arguments = {"cat"}}));
    Client& client = *clients.back();
    client.ends_input = false;
    client.input = absl::StrCat("number ", i, "\n");
    client.WaitForOutput(client.input);
  }
  for (const auto& client : clients) {
    client->ends_input = true;
    EXPECT_EQ(client->Finish(), 0);
    EXPECT_EQ(client->out, client->input);
  }
}

TEST_F(AgentTest, RefusesMoreCommandsThanItMayRun) {
  StartAgent({"--max-commands=2"});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(std::make_unique<Client>(Path(), Shell("echo up; cat")));
    clients.back()->ends_input = false;
    clients.back()->WaitForOutput("up\n");
  }
  Client third = Connect({.arguments = {"true"}});
  EXPECT_EQ(third.Finish(), 125);
  ASSERT_TRUE(third.error().has_value());
  EXPECT_EQ(third.error()->code, static_cast<uint16_t>(ErrorCode::kBusy));
  clients[0]->ends_input = true;
  EXPECT_EQ(clients[0]->Finish(), 0);
  clients[0]->HangUp();
  // The place is free as soon as the agent has seen the end.
  EXPECT_EQ(StatusOfTrueWhenThereIsRoom(), 0);
}

TEST_F(AgentTest, HalfOpenConnectionsAreFewAndLetGo) {
  StartAgent();
  std::vector<UniqueFd> idle;
  for (size_t i = 0; i < 200; ++i) {
    auto socket = ConnectUnix(Path());
    ASSERT_THAT(socket, IsOk());
    idle.push_back(*std::move(socket));
  }
  // The first ones keep their places until the time is over; the others are
  // told to come later.
  EXPECT_THAT(ReadToEnd(idle.back().get()), HasSubstr("too many"));
  EXPECT_THAT(ReadToEnd(idle.front().get()), HasSubstr("in time"));
  idle.clear();
  EXPECT_EQ(Connect({.arguments = {"true"}}).Finish(), 0);
}

TEST_F(AgentTest, SurvivesThatItHasNoDescriptorsLeft) {
#if defined(__SANITIZE_ADDRESS__)
  // It looks into memory by way of pipes, and takes a failure for a finding.
  StartAgent();
#else
  StartAgent({}, {"/bin/sh", "-c", "ulimit -n 20; exec \"$@\"", "sh"});
#endif
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(
        std::make_unique<Client>(Path(), Start{.arguments = {"cat"}}));
    clients.back()->ends_input = false;
    if (i > 0) continue;
    clients[0]->input = "x";
    clients[0]->WaitForOutput("x");
  }
  // The one that runs is not harmed by those there is no room for.
  clients[0]->input = "xy";
  clients[0]->WaitForOutput("xy");
  for (const auto& client : clients) client->HangUp();
  EXPECT_EQ(StatusOfTrueWhenThereIsRoom(), 0);
}

TEST_F(AgentTest, SurvivesAFloodOfRubbish) {
  StartAgent();
  for (int i = 0; i < 200; ++i) {
    auto socket = ConnectUnix(Path());
    ASSERT_THAT(socket, IsOk());
    // It may be closed before all of it is written.
    const std::string rubbish(1000 + i, static_cast<char>(i));
    (void)!send(socket->get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL);
    if (i % 2 == 0) (void)ReadToEnd(socket->get());
  }
  // What was refused may still be on its way out.
  EXPECT_EQ(StatusOfTrueWhenThereIsRoom(), 0);
}

TEST_F(AgentTest, TellsAClientHowItBrokeTheProtocol) {
  StartAgent();
  auto socket = ConnectUnix(Path());
  ASSERT_THAT(socket, IsOk());
  SendAll(socket->get(), "GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(ReadToEnd(socket->get()), HasSubstr("command protocol"));
}

TEST_F(AgentTest, ReapsWhatCommandsLeaveBehind) {
  StartAgent();
  const std::string fifo = MakeFifo("fifo");
  Client client = Connect(
      Shell(absl::StrCat("(sh -c 'echo $PPID $$ > ", fifo, "' &) & exit 0")));
  EXPECT_EQ(client.Finish(), 0);
  (void)ReadFifo(fifo);
  const std::string children = absl::StrCat("/proc/", agent_->pid(), "/task/",
                                            agent_->pid(), "/children");
  std::string left = "?";
  for (int i = 0; i < 400 && !left.empty(); ++i) {
    const auto text = ReadFile(children, 65536);
    ASSERT_THAT(text, IsOk());
    left = *text;
    poll(nullptr, 0, 25);
  }
  EXPECT_EQ(left, "");
}

TEST_F(AgentTest, SaysThatItIsBeingStopped) {
  StartAgent();
  Client client = Connect(Shell("echo ready; exec sleep 60"));
  client.ends_input = false;
  client.WaitForOutput("ready\n");
  agent_->Signal(SIGTERM);
  EXPECT_EQ(client.Finish(), 125);
  ASSERT_TRUE(client.error().has_value());
  EXPECT_EQ(client.error()->code,
            static_cast<uint16_t>(ErrorCode::kShuttingDown));
  EXPECT_EQ(agent_->Wait(absl::Seconds(5)).exit_code, 0);
  EXPECT_TRUE(Ends(client.pid));
  EXPECT_NE(access(Path().c_str(), F_OK), 0);
}

TEST_F(AgentTest, AKilledAgentIsNoticed) {
  StartAgent();
  Client client = Connect(Shell("echo $PPID; exec sleep 2"));
  client.ends_input = false;
  client.WaitForOutput("\n");
  agent_->Signal(SIGKILL);
  client.RunUntil([] { return false; });
  EXPECT_THAT(client.session().ReceiveEnd(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("running")));
}

TEST_F(AgentTest, CommandsDoNotOutliveAKilledAgent) {
  StartAgent();
  // It would not notice by its pipes.
  Client client = Connect(Shell("echo $$; exec sleep 1000"));
  client.ends_input = false;
  client.WaitForOutput("\n");
  pid_t pid = 0;
  ASSERT_TRUE(absl::SimpleAtoi(client.out, &pid));
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  ASSERT_TRUE(process.is_valid());
  agent_->Signal(SIGKILL);
  pollfd entry = {.fd = process.get(), .events = POLLIN};
  EXPECT_EQ(poll(&entry, 1, 10'000), 1);
}

TEST_F(AgentTest, RefusesBadOptions) {
  const std::string agent = Runfile("agent/vmsilo-agent");
  for (const std::vector<std::string>& options :
       std::vector<std::vector<std::string>>{{"--listen=tcp:1", "--user=root"},
                                             {"--env=NOTHING", "--user=root"},
                                             {"--port=0"},
                                             {"--source-port=some"}}) {
    std::vector<std::string> argv = {agent};
    argv.insert(argv.end(), options.begin(), options.end());
    EXPECT_EQ(RunProcess(argv).exit_code, 64) << options[0];
  }
  const auto result = RunProcess({agent, "--user=no-such-user"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("'no-such-user'"));
}

}  // namespace
}  // namespace vmsilo::agent
