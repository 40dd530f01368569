// `vmsilo run` as it is shipped, against a made-up agent in another process:
// every way in which a session can go, in pipes and on a terminal. One file, as
// all of it is one program's behaviour over one fixture.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/process.h"
#include "common/testing/temp_dir.h"
#include "common/testing/terminal.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RunTest : public ::testing::Test {
 protected:
  void StartAgent(const std::string& mode = "serve") {
    agent_ = std::make_unique<ChildProcess>(ChildProcess::Start(
        {.argv = {Runfile("cli/testing/fake_agent"), socket_, mode}}));
    agent_->ReadStdoutUntil("ready");
  }

  std::vector<std::string> Argv(std::vector<std::string> options,
                                std::vector<std::string> command) {
    std::vector<std::string> argv = {Runfile("cli/vmsilo"), "run", "--socket",
                                     socket_};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back("work");
    argv.push_back("--");
    argv.insert(argv.end(), command.begin(), command.end());
    return argv;
  }

  ChildProcess::Result Run(std::vector<std::string> options,
                           std::vector<std::string> command,
                           absl::string_view input = "") {
    return RunProcess(Argv(std::move(options), std::move(command)), input);
  }

  TempDir dir_;
  const std::string socket_ = dir_.Path("command.socket");
  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(RunTest, PassesArgumentsAsTheyAre) {
  StartAgent();
  const auto result = Run({}, {"args", "a b", "", "--raw", "ü$%\\\n"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("[a b]\n[]\n[--raw]\n[ü$%\\\n]\n"));
  EXPECT_THAT(result.out, HasSubstr("tty=0"));
  EXPECT_EQ(result.err, "");
}

TEST_F(RunTest, PassesOnlyHarmlessVariables) {
  StartAgent();
  ChildProcess child =
      ChildProcess::Start({.argv = Argv({}, {"args"}),
                           .environment = {{"LANG", "de_DE.UTF-8"},
                                           {"LC_TIME", "C"},
                                           {"TERM", "xterm"},
                                           {"SECRET", "token"},
                                           {"LD_PRELOAD", ""}}});
  const auto result = child.Wait();
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("LANG=de_DE.UTF-8\n"), HasSubstr("LC_TIME=C\n"),
                    Not(HasSubstr("SECRET")), Not(HasSubstr("TERM=")),
                    Not(HasSubstr("LD_"))));
}

TEST_F(RunTest, HasTheCommandsExitStatus) {
  StartAgent();
  EXPECT_EQ(Run({}, {"exit", "0"}).exit_code, 0);
  EXPECT_EQ(Run({}, {"exit", "7"}).exit_code, 7);
  EXPECT_EQ(Run({}, {"exit", "255"}).exit_code, 255);
  EXPECT_EQ(Run({}, {"kill", "9"}).exit_code, 137);
  EXPECT_EQ(Run({}, {"exit", "7"}).err, "");
}

TEST_F(RunTest, TakesNoSignalThatIsNone) {
  StartAgent();
  for (const char* signal : {"0", "65", "200"}) {
    const auto result = Run({}, {"kill", signal});
    EXPECT_EQ(result.exit_code, 125) << signal;
    EXPECT_THAT(result.err, HasSubstr("no such signal"));
  }
}

TEST_F(RunTest, SaysWhyACommandDidNotStart) {
  StartAgent();
  auto result = Run({}, {"error", "7"});
  EXPECT_EQ(result.exit_code, 127);
  EXPECT_THAT(result.err, HasSubstr("no such command in silo 'work'"));
  result = Run({}, {"error", "8", "not a program"});
  EXPECT_EQ(result.exit_code, 126);
  EXPECT_THAT(result.err, HasSubstr("not a program"));
  result = Run({}, {"error", "10"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("not running"));
  // A code of a later version, with an attack on the terminal.
  result = Run({}, {"error", "4711", "\x1b]0;owned\a\nvmsilo: all is well"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, AllOf(HasSubstr("\\x1b"), Not(HasSubstr("\x1b"))));
}

TEST_F(RunTest, KeepsOutputAndErrorApart) {
  StartAgent();
  const auto result = Run({}, {"both"});
  EXPECT_EQ(result.out, "to stdout\n");
  EXPECT_EQ(result.err, "to stderr\n");
}

TEST_F(RunTest, CopiesMoreThanAnyBuffer) {
  StartAgent();
  std::string input(5'000'000, 0);
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  // From a file, so that nothing blocks while both directions are full.
  const std::string file = dir_.Write("input", input);
  const UniqueFd from(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  ChildProcess copy = ChildProcess::Start(
      {.argv = Argv({}, {"cat"}), .fds = {{0, from.get()}}});
  const auto result = copy.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(result.out == input);
}

TEST_F(RunTest, ReadsFromDevNullAndAClosedInput) {
  StartAgent();
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"cat"}), .fds = {{0, null.get()}}});
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_EQ(Run({"--no-stdin"}, {"cat"}, "not read").out, "");
}

TEST_F(RunTest, LeavesStandardInputAsItWas) {
  StartAgent();
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd in(fds[0]);
  UniqueFd feed(fds[1]);
  ChildProcess child =
      ChildProcess::Start({.argv = Argv({}, {"wait"}), .fds = {{0, in.get()}}});
  child.ReadStdoutUntil("waiting");
  EXPECT_EQ(fcntl(in.get(), F_GETFL) & O_NONBLOCK, 0);
  child.Signal(SIGTERM);
  child.Wait();
}

TEST_F(RunTest, EndsWithItsReader) {
  StartAgent();
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  UniqueFd reader(fds[0]);
  UniqueFd out(fds[1]);
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"flood", "1000000000"}), .fds = {{1, out.get()}}});
  out.Reset();
  std::array<char, 10> some;
  ASSERT_GT(read(reader.get(), some.data(), some.size()), 0);
  reader.Reset();
  const auto result = child.Wait();
  EXPECT_EQ(result.exit_code, 128 + SIGPIPE);
  EXPECT_EQ(result.err, "");
}

TEST_F(RunTest, SaysThatTheDiskIsFull) {
  StartAgent();
  const UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"flood", "1000"}), .fds = {{1, full.get()}}});
  const auto result = child.Wait();
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("No space left"));
}

TEST_F(RunTest, AnOutputThatIsClosedIsAnError) {
  StartAgent();
  std::vector<std::string> argv = {"/bin/sh", "-c", "exec \"$@\" >&-", "sh"};
  for (std::string& word : Argv({}, {"flood", "1000000000"})) {
    argv.push_back(std::move(word));
  }
  const auto result = RunProcess(argv);
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("Bad file descriptor"));
}

TEST_F(RunTest, PassesSignals) {
  StartAgent();
  for (const int signo : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1}) {
    ChildProcess child = ChildProcess::Start({.argv = Argv({}, {"wait"})});
    child.ReadStdoutUntil("waiting");
    child.Signal(signo);
    EXPECT_EQ(child.Wait().exit_code, 128 + signo);
  }
}

TEST_F(RunTest, ThreeInterruptsLeaveACommandThatIgnoresThem) {
  StartAgent();
  ChildProcess child = ChildProcess::Start({.argv = Argv({}, {"ignore"})});
  child.ReadStdoutUntil("waiting");
  child.Signal(SIGINT);
  child.ReadStdoutUntil("signal 2\n");
  child.Signal(SIGINT);
  child.ReadStdoutUntil("signal 2\nsignal 2\n");
  child.Signal(SIGINT);
  EXPECT_EQ(child.Wait().exit_code, 128 + SIGINT);
}

TEST_F(RunTest, LeavesADetachedCommand) {
  StartAgent();
  const auto result = Run({"--detach"}, {"wait"}, "never read");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "");
}

TEST_F(RunTest, SaysThatTheConnectionBroke) {
  StartAgent();
  auto result = Run({}, {"drop"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_EQ(result.out, "half a sen");
  EXPECT_THAT(result.err, HasSubstr("ended while the command was running"));
  result = Run({}, {"garbage"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("command protocol"));
}

TEST_F(RunTest, AnAgentThatIsKilledEndsIt) {
  StartAgent();
  ChildProcess child = ChildProcess::Start({.argv = Argv({}, {"wait"})});
  child.ReadStdoutUntil("waiting");
  agent_->Signal(SIGKILL);
  EXPECT_EQ(child.Wait().exit_code, 125);
}

TEST_F(RunTest, WhatAnswersBeforeHello) {
  StartAgent("refuse");
  auto result = Run({}, {"true"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, AllOf(HasSubstr("nobody answers in it"),
                                HasSubstr("60 s passed")));
}

TEST_F(RunTest, NoiseBeforeHello) {
  StartAgent("garbage");
  EXPECT_EQ(Run({}, {"true"}).exit_code, 125);
}

TEST_F(RunTest, AnEndBeforeHello) {
  StartAgent("close");
  const auto result = Run({}, {"true"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("before the agent answered"));
}

TEST_F(RunTest, SilenceBeforeHello) {
  StartAgent("silent");
  const auto result = Run({"--timeout", "50ms"}, {"true"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("no answer within 50ms"));

  ChildProcess child = ChildProcess::Start({.argv = Argv({}, {"true"})});
  child.Signal(SIGCONT);  // does nothing
  // It cannot be seen from outside when the signals are being watched; either
  // way this is the end.
  child.Signal(SIGINT);
  const auto interrupted = child.Wait();
  EXPECT_TRUE(interrupted.exit_code == 128 + SIGINT ||
              interrupted.signal == SIGINT);
}

TEST_F(RunTest, SilenceAfterHello) {
  StartAgent("hello");
  const auto result = Run({"--timeout", "50ms"}, {"true"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("was not started within 50ms"));
}

TEST_F(RunTest, NobodyThere) {
  const auto result = Run({}, {"true"});
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("command.socket"));
}

TEST_F(RunTest, WrongUse) {
  const std::string vmsilo = Runfile("cli/vmsilo");
  const std::vector<std::vector<std::string>> calls = {
      {vmsilo, "run"},
      {vmsilo, "run", "work"},
      {vmsilo, "run", "work", "ls", "--raw"},
      {vmsilo, "run", "../x", "--", "true"},
      {vmsilo, "run", ".balloond", "--", "true"},
      {vmsilo, "run", "--detach", "--tty", "work", "--", "true"},
      {vmsilo, "run", "--tty", "work", "--", "true"},
      {vmsilo, "run", "work", "--", ""},
      {vmsilo, "run", "--timeout", "soon", "work", "--", "true"},
      {vmsilo, "start"},
      {vmsilo, "stop", "a/b"},
      {vmsilo, "status", "-x"},
      {vmsilo, "logs", "*"},
      {vmsilo, "fly"},
      {vmsilo},
  };
  for (const auto& argv : calls) {
    const auto result = RunProcess(argv);
    EXPECT_EQ(result.exit_code, 64) << result.err;
    EXPECT_NE(result.err, "");
    EXPECT_EQ(result.out, "");
  }
}

// The same on a terminal, of which the test holds the other end.
class RunTtyTest : public RunTest {
 protected:
  ChildProcess StartOnTty(std::vector<std::string> options,
                          std::vector<std::string> command) {
    return ChildProcess::Start(
        {.argv = Argv(std::move(options), std::move(command)),
         .environment = {{"TERM", "xterm-256color"}},
         .fds = terminal_.fds()});
  }

  Terminal terminal_;
};

TEST_F(RunTtyTest, GivesTheCommandATerminal) {
  StartAgent();
  ChildProcess child = StartOnTty({}, {"args"});
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_THAT(terminal_.ReadRest(), AllOf(HasSubstr("tty=1 rows=30"),
                                          HasSubstr("TERM=xterm-256color")));
}

TEST_F(RunTtyTest, UnlessItIsToldNotTo) {
  StartAgent();
  ChildProcess child = StartOnTty({"--no-tty"}, {"args"});
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_THAT(terminal_.ReadRest(), HasSubstr("tty=0"));
}

TEST_F(RunTtyTest, PassesEveryKeyAndRestoresTheTerminal) {
  StartAgent();
  ChildProcess child = StartOnTty({}, {"keys"});
  // Types ahead; the keys must not be lost.
  terminal_.Type("a");
  terminal_.ReadUntil("<97>");
  EXPECT_TRUE(terminal_.IsRaw());
  terminal_.Type("\x03\x1a\x1c\r");
  terminal_.ReadUntil("<3><26><28><13>");
  terminal_.Type("q");
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_TRUE(terminal_.IsRestored());
}

TEST_F(RunTtyTest, RestoresTheTerminalWhateverEndsIt) {
  StartAgent();
  for (const int signo : {SIGTERM, SIGHUP, SIGSEGV, SIGABRT}) {
    ChildProcess child = StartOnTty({}, {"keys"});
    terminal_.Type("a");
    terminal_.ReadUntil("<97>");
    EXPECT_TRUE(terminal_.IsRaw());
    child.Signal(signo);
    child.Wait();
    EXPECT_TRUE(terminal_.IsRestored());
  }
}

TEST_F(RunTtyTest, RestoresTheTerminalWhenTheGuestDies) {
  StartAgent();
  ChildProcess child = StartOnTty({}, {"keys"});
  terminal_.Type("a");
  terminal_.ReadUntil("<97>");
  agent_->Signal(SIGKILL);
  EXPECT_EQ(child.Wait().exit_code, 125);
  EXPECT_TRUE(terminal_.IsRestored());
  EXPECT_THAT(terminal_.ReadRest(), HasSubstr("connection ended"));
}

TEST_F(RunTtyTest, TellsOfANewSize) {
  StartAgent();
  ChildProcess child = StartOnTty({}, {"keys"});
  terminal_.Type("a");
  terminal_.ReadUntil("<97>");
  terminal_.Resize(50, 120);
  // It comes by itself to a foreground process of the terminal's session.
  child.Signal(SIGWINCH);
  terminal_.ReadUntil("rows=50");
  terminal_.Type("q");
  EXPECT_EQ(child.Wait().exit_code, 0);
}

TEST_F(RunTtyTest, FiltersWhatAGuestPrints) {
  StartAgent();
  const std::string nasty =
      "\x1b]0;title\a\x1b[31mred\x1b[0m\x1b[6n\x1b[?1049h\x1b[?25l!";
  ChildProcess child = StartOnTty({}, {"write", nasty});
  EXPECT_EQ(child.Wait().exit_code, 0);
  const std::string seen = terminal_.ReadRest();
  EXPECT_THAT(seen, HasSubstr("\x1b[31mred\x1b[0m\x1b[?1049h\x1b[?25l!"));
  EXPECT_THAT(seen, AllOf(Not(HasSubstr("title")), Not(HasSubstr("\x1b[6n"))));
  // And the screen is put back.
  EXPECT_THAT(seen, HasSubstr("\x1b[?25h\x1b[?1049l"));
}

TEST_F(RunTtyTest, FiltersWithoutATerminalInTheGuestAsWell) {
  StartAgent();
  ChildProcess child = StartOnTty({"--no-tty"}, {"write", "\x1b]0;title\a!"});
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_THAT(terminal_.ReadRest(), Not(HasSubstr("title")));
}

TEST_F(RunTtyTest, PassesEverythingWithRaw) {
  StartAgent();
  ChildProcess child = StartOnTty({"--raw"}, {"write", "\x1b]0;title\a!"});
  EXPECT_EQ(child.Wait().exit_code, 0);
  EXPECT_THAT(terminal_.ReadRest(), HasSubstr("\x1b]0;title\a!"));
}

TEST_F(RunTtyTest, TheEscapeKeyLeavesAHangingSession) {
  StartAgent();
  ChildProcess child = StartOnTty({}, {"ignore"});
  terminal_.ReadUntil("waiting");
  terminal_.Type("\x1d\x1d\x1d");
  EXPECT_EQ(child.Wait().exit_code, 125);
  EXPECT_TRUE(terminal_.IsRestored());
}

TEST_F(RunTtyTest, ShowsThatASiloIsStarting) {
  StartAgent("silent");
  ChildProcess child = StartOnTty({}, {"true"});
  EXPECT_THAT(terminal_.ReadUntil(" s"), HasSubstr("waiting for work"));
  EXPECT_FALSE(terminal_.IsRaw());
  child.Signal(SIGINT);
  EXPECT_EQ(child.Wait().exit_code, 128 + SIGINT);
  EXPECT_TRUE(terminal_.IsRestored());
}

TEST_F(RunTest, AppendsToALog) {
  StartAgent();
  const std::string path = dir_.Write("log", "before\n");
  const UniqueFd out(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"both"}), .fds = {{1, out.get()}}});
  EXPECT_EQ(child.Wait().exit_code, 0);
  const UniqueFd in(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 100> text;
  const ssize_t n = read(in.get(), text.data(), text.size());
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(text.data(), static_cast<size_t>(n)),
            "before\nto stdout\n");
}

}  // namespace
}  // namespace vmsilo::cli
