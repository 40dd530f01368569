// `vmsilo run` and vmsilo-agent as they are shipped, over a Unix socket: what
// a person gets is what the command did.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/testing/process.h"
#include "common/testing/temp_dir.h"
#include "common/testing/terminal.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    std::vector<std::string> argv = {Runfile("agent/vmsilo-agent"), "--listen",
                                     "unix:" + socket_, "--detached-output",
                                     "null"};
    if (geteuid() == 0) argv.insert(argv.end(), {"--user", "root"});
    agent_ = std::make_unique<ChildProcess>(
        ChildProcess::Start({.argv = std::move(argv)}));
    // The same program that the units use.
    const auto wait = RunProcess(
        {Runfile("prepare/vmsilo-prepare"), "wait", "--socket", socket_});
    EXPECT_EQ(wait.exit_code, 0) << wait.err;
  }

  std::vector<std::string> Argv(std::vector<std::string> options,
                                std::vector<std::string> command) {
    std::vector<std::string> argv = {Runfile("cli/vmsilo"), "run", "--socket",
                                     socket_};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {"work", "--"});
    argv.insert(argv.end(), command.begin(), command.end());
    return argv;
  }

  ChildProcess::Result Run(std::vector<std::string> command,
                           absl::string_view input = "") {
    return RunProcess(Argv({}, std::move(command)), input);
  }

  TempDir dir_;
  const std::string socket_ = dir_.Path("command.socket");
  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(RunTest, IsTheCommandsInputAndOutput) {
  const auto result =
      Run({"sh", "-c", "tr a-z A-Z; echo done >&2; exit 5"}, "hello\n");
  EXPECT_EQ(result.out, "HELLO\n");
  EXPECT_EQ(result.err, "done\n");
  EXPECT_EQ(result.exit_code, 5);
}

TEST_F(RunTest, TellsHowTheCommandEnded) {
  EXPECT_EQ(Run({"true"}).exit_code, 0);
  EXPECT_EQ(Run({"sh", "-c", "kill -9 $$"}).exit_code, 137);
  const auto absent = Run({"no-such-command"});
  EXPECT_EQ(absent.exit_code, 127);
  EXPECT_THAT(absent.err, HasSubstr("'no-such-command'"));
  const std::string file = dir_.Write("file", "no program");
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(Run({file}).exit_code, 126);
}

TEST_F(RunTest, StartsInTheDirectory) {
  const auto result = RunProcess(Argv({"--directory", dir_.path()}, {"pwd"}));
  EXPECT_EQ(result.out, dir_.path() + "\n");
  const auto absent =
      RunProcess(Argv({"--directory", dir_.Path("absent")}, {"pwd"}));
  EXPECT_EQ(absent.exit_code, 125);
  EXPECT_THAT(absent.err, HasSubstr("absent"));
}

TEST_F(RunTest, AGibibyteThroughCatArrivesUnchanged) {
  std::vector<std::string> argv = {
      "/bin/bash", "-c",
      "set -o pipefail; cd \"$0\"; \"$1\" send 1073741824 2>sent | "
      "\"${@:2}\" | \"$1\" receive 2>received; "
      "status=$?; cat sent received; exit $status",
      dir_.path(), Runfile("tests/silo/byte_stream")};
  for (std::string& word : Argv({}, {"cat"})) argv.push_back(std::move(word));
  const ChildProcess::Result result =
      ChildProcess::Start({.argv = std::move(argv)}).Wait(absl::Minutes(4));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> said =
      absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(said.size(), 2u) << result.out;
  EXPECT_THAT(said[0], StartsWith("1073741824 bytes, "));
  EXPECT_EQ(said[0], said[1]);
}

TEST_F(RunTest, EndsACommandWhoseReaderHasGone) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  UniqueFd reader(fds[0]);
  UniqueFd out(fds[1]);
  ChildProcess child =
      ChildProcess::Start({.argv = Argv({}, {"yes"}), .fds = {{1, out.get()}}});
  out.Reset();
  std::array<char, 10> some;
  ASSERT_GT(read(reader.get(), some.data(), some.size()), 0);
  reader.Reset();
  EXPECT_EQ(child.Wait().exit_code, 128 + SIGPIPE);
}

TEST_F(RunTest, PassesSignals) {
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"sh", "-c",
                         "trap 'echo caught; exit 9' USR1; echo ready; "
                         "while :; do sleep 0.05; done"})});
  child.ReadStdoutUntil("ready");
  child.Signal(SIGUSR1);
  const auto result = child.Wait();
  EXPECT_EQ(result.exit_code, 9);
  EXPECT_THAT(result.out, HasSubstr("caught"));

  ChildProcess sleeper = ChildProcess::Start(
      {.argv = Argv({}, {"sh", "-c", "echo ready; exec sleep 100"})});
  sleeper.ReadStdoutUntil("ready");
  sleeper.Signal(SIGINT);
  EXPECT_EQ(sleeper.Wait().exit_code, 130);
}

TEST_F(RunTest, LeavesADetachedCommandRunning) {
  const std::string file = dir_.Path("written");
  const auto result = RunProcess(Argv(
      {"--detach"},
      {"sh", "-c",
       absl::StrCat("echo done > ", file, ".new; mv ", file, ".new ", file)}));
  EXPECT_EQ(result.exit_code, 0);
  // It goes on after we have ended; tail waits for the file.
  const auto wait =
      RunProcess({"/bin/sh", "-c",
                  absl::StrCat("timeout 20 tail --retry -f ", file,
                               " 2>/dev/null | "
                               "head -n 1")});
  EXPECT_EQ(wait.out, "done\n");
}

TEST_F(RunTest, AKilledClientsCommandIsHungUp) {
  const std::string file = dir_.Path("hung-up");
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"sh", "-c",
                         absl::StrCat("trap 'echo hup > ", file,
                                      "; exit' HUP; echo ready; while :; do "
                                      "sleep 0.05; done")})});
  child.ReadStdoutUntil("ready");
  child.Signal(SIGKILL);
  child.Wait();
  const auto wait =
      RunProcess({"/bin/sh", "-c",
                  absl::StrCat("timeout 20 tail --retry -f ", file,
                               " 2>/dev/null | "
                               "head -n 1")});
  EXPECT_EQ(wait.out, "hup\n");
}

TEST_F(RunTest, AKilledAgentEndsTheClient) {
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"sh", "-c", "echo ready; exec sleep 100"})});
  child.ReadStdoutUntil("ready");
  agent_->Signal(SIGKILL);
  const auto result = child.Wait();
  EXPECT_EQ(result.exit_code, 125);
  EXPECT_THAT(result.err, HasSubstr("connection ended"));
}

TEST_F(RunTest, ManyAtOnce) {
  std::vector<ChildProcess> children;
  for (int i = 0; i < 20; ++i) {
    children.push_back(ChildProcess::Start(
        {.argv = Argv({}, {"sh", "-c", absl::StrCat("cat; exit ", i)})}));
  }
  for (int i = 0; i < 20; ++i) {
    ChildProcess& child = children[static_cast<size_t>(i)];
    child.Write(absl::StrCat("line ", i));
    const auto result = child.Wait();
    EXPECT_EQ(result.exit_code, i);
    EXPECT_EQ(result.out, absl::StrCat("line ", i));
  }
}

TEST_F(RunTest, OnATerminal) {
  Terminal terminal(33, 101);
  ChildProcess child = ChildProcess::Start(
      {.argv = Argv({}, {"sh", "-c",
                         // The signal may come before the first read or in it.
                         "trap 'echo interrupted' INT; stty size; echo ready; "
                         "read line || read line; echo \"<$line>\"; exit 4"}),
       .environment = {{"TERM", "xterm"}},
       .fds = terminal.fds()});
  EXPECT_THAT(terminal.ReadUntil("ready"), HasSubstr("33 101"));
  // Ctrl-C is a byte here and a signal in the guest.
  terminal.Type("\x03");
  terminal.ReadUntil("interrupted");
  terminal.Type("typed\r");
  terminal.ReadUntil("<typed>");
  EXPECT_EQ(child.Wait().exit_code, 4);
  EXPECT_TRUE(terminal.IsRestored());
}

}  // namespace
}  // namespace vmsilo
