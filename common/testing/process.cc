#include "common/testing/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

extern char** environ;

namespace vmsilo {
namespace {

constexpr absl::Duration kReadDeadline = absl::Seconds(30);

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

std::pair<UniqueFd, UniqueFd> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) Die("pipe2");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

int PollTimeout(const Clock& clock, absl::Time end) {
  const absl::Duration left = end - clock.Now();
  return left <= absl::ZeroDuration()
             ? 0
             : static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
}

// Appends what is there; false at the end of the stream.
bool ReadSome(int fd, std::string* out) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(fd, buffer.data(), buffer.size());
  if (got > 0) out->append(buffer.data(), static_cast<size_t>(got));
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

}  // namespace

ChildProcess ChildProcess::Start(Options options) {
  ChildProcess child;
  auto [in_read, in_write] = MakePipe();
  auto [out_read, out_write] = MakePipe();
  auto [err_read, err_write] = MakePipe();
  std::map<int, int> wanted = {
      {0, in_read.get()}, {1, out_write.get()}, {2, err_write.get()}};
  for (const auto& [number, fd] : options.fds) wanted[number] = fd;

  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    if (options.environment.count(
            std::string(text.substr(0, text.find('=')))) == 0) {
      environment.emplace_back(text);
    }
  }
  for (const auto& [name, value] : options.environment) {
    environment.push_back(absl::StrCat(name, "=", value));
  }
  std::vector<char*> argv, envp;
  for (std::string& word : options.argv) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (std::string& word : environment) envp.push_back(word.data());
  envp.push_back(nullptr);

  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) {
    // First out of the way of all numbers that are wanted, then into place.
    std::vector<std::pair<int, int>> moved;
    for (const auto& [number, fd] : wanted) {
      moved.emplace_back(number, fcntl(fd, F_DUPFD_CLOEXEC, 100));
    }
    for (const auto& [number, fd] : moved) dup2(fd, number);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    execve(argv[0], argv.data(), envp.data());
    perror(argv[0]);
    _exit(127);
  }
  child.pid_ = pid;
  child.pidfd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd_.is_valid()) Die("pidfd_open");
  if (options.fds.count(0) == 0) child.stdin_ = std::move(in_write);
  child.stdout_ = std::move(out_read);
  child.stderr_ = std::move(err_read);
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      stdin_(std::move(other.stdin_)),
      stdout_(std::move(other.stdout_)),
      stderr_(std::move(other.stderr_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void ChildProcess::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(stdin_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    ASSERT_GT(written, 0) << "write to the child: " << strerror(errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void ChildProcess::Signal(int signo) { EXPECT_EQ(kill(pid_, signo), 0); }

std::string ChildProcess::ReadUntil(int which, absl::string_view text) {
  const UniqueFd& fd = which == STDOUT_FILENO ? stdout_ : stderr_;
  std::string& seen = which == STDOUT_FILENO ? out_ : err_;
  const MonotonicClock clock;
  const absl::Time end = clock.Now() + kReadDeadline;
  while (!absl::StrContains(seen, text)) {
    pollfd poller = {fd.get(), POLLIN, 0};
    if (poll(&poller, 1, PollTimeout(clock, end)) <= 0 ||
        !ReadSome(fd.get(), &seen)) {
      ADD_FAILURE() << "'" << text << "' did not come; there is '" << seen
                    << "'; stderr so far: '" << err_ << "'";
      break;
    }
  }
  return seen;
}

std::string ChildProcess::ReadStdoutUntil(absl::string_view text) {
  return ReadUntil(STDOUT_FILENO, text);
}

std::string ChildProcess::ReadStderrUntil(absl::string_view text) {
  return ReadUntil(STDERR_FILENO, text);
}

ChildProcess::Result ChildProcess::Wait(absl::Duration deadline) {
  stdin_.Reset();
  const MonotonicClock clock;
  const absl::Time end = clock.Now() + deadline;
  bool has_ended = false;
  // The output is drained as long as the process runs, and then what is left;
  // a grandchild may keep the pipes open for ever.
  while (!has_ended) {
    pollfd pollers[] = {{pidfd_.get(), POLLIN, 0},
                        {stdout_.get(), POLLIN, 0},
                        {stderr_.get(), POLLIN, 0}};
    if (poll(pollers, 3, PollTimeout(clock, end)) <= 0) {
      ADD_FAILURE() << "process " << pid_ << " did not end within " << deadline
                    << "; stderr: " << err_;
      kill(pid_, SIGKILL);
      break;
    }
    if (pollers[1].revents != 0 && !ReadSome(stdout_.get(), &out_)) {
      stdout_.Reset();
    }
    if (pollers[2].revents != 0 && !ReadSome(stderr_.get(), &err_)) {
      stderr_.Reset();
    }
    has_ended = pollers[0].revents != 0 && pollers[1].revents == 0 &&
                pollers[2].revents == 0;
  }
  Result result;
  int status = 0;
  if (waitpid(std::exchange(pid_, -1), &status, 0) < 0) Die("waitpid");
  if (WIFSIGNALED(status)) {
    result.signal = WTERMSIG(status);
  } else {
    result.exit_code = WEXITSTATUS(status);
  }
  result.out = std::move(out_);
  result.err = std::move(err_);
  return result;
}

ChildProcess::Result RunProcess(std::vector<std::string> argv,
                                absl::string_view input) {
  ChildProcess child = ChildProcess::Start({.argv = std::move(argv)});
  child.Write(input);
  return child.Wait();
}

uint64_t PrivateKilobytes(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/status");
  std::ifstream status(path);
  for (std::string line; std::getline(status, line);) {
    uint64_t kilobytes = 0;
    absl::string_view words = line;
    if (absl::ConsumePrefix(&words, "RssAnon:") &&
        absl::ConsumeSuffix(&words, " kB") &&
        absl::SimpleAtoi(words, &kilobytes)) {
      return kilobytes;
    }
  }
  ADD_FAILURE() << path << " says nothing of RssAnon";
  return 0;
}

std::string Runfile(absl::string_view path) {
  const char* root = getenv("TEST_SRCDIR");
  const char* workspace = getenv("TEST_WORKSPACE");
  if (root == nullptr || workspace == nullptr) {
    ADD_FAILURE() << "not run by Bazel: TEST_SRCDIR is not set";
    return std::string(path);
  }
  return absl::StrCat(root, "/", workspace, "/", path);
}

}  // namespace vmsilo
