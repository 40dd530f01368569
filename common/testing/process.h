#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace vmsilo {

// A child process of a test, with pipes for its standard descriptors. Killed
// and reaped at the end of its scope if it is still there. Everything that
// waits has a deadline and fails the test when it passes.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> argv;  // argv[0] is the path
    // Added to the test's own environment.
    std::map<std::string, std::string> environment = {};
    // Descriptors to give to the child, by its number; 0 to 2 replace pipes.
    std::map<int, int> fds = {};
  };

  // Ends the test process if the child cannot be started.
  static ChildProcess Start(Options options);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  int stdin_fd() const { return stdin_.get(); }
  int stdout_fd() const { return stdout_.get(); }

  void Write(absl::string_view bytes);
  void CloseStdin() { stdin_.Reset(); }
  void Signal(int signo);

  // Reads stdout or stderr until `text` has come; what has come so far.
  std::string ReadStdoutUntil(absl::string_view text);
  std::string ReadStderrUntil(absl::string_view text);

  struct Result {
    int exit_code = -1;         // or
    std::optional<int> signal;  // the signal that ended it
    std::string out, err;       // all of it, what was read before too
  };

  // Closes stdin, collects the output, and waits for the end.
  Result Wait(absl::Duration deadline = absl::Seconds(30));

 private:
  ChildProcess() = default;
  std::string ReadUntil(int which, absl::string_view text);

  pid_t pid_ = -1;
  UniqueFd pidfd_, stdin_, stdout_, stderr_;
  std::string out_, err_;
};

// Start and Wait in one; `input` goes to stdin.
ChildProcess::Result RunProcess(std::vector<std::string> argv,
                                absl::string_view input = "");

// What a process has of the computer's memory for itself.
uint64_t PrivateKilobytes(pid_t pid);

// The path of a file of the build, such as "proxy/vmsilo-proxy", from the
// test's runfiles.
std::string Runfile(absl::string_view path);

}  // namespace vmsilo
