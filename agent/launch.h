#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/plan.h"
#include "agent/users.h"
#include "command/frame.h"
#include "common/unique_fd.h"

namespace vmsilo::agent {

enum class Streams {
  kPipes,
  kTerminal,
  kDetachedQuiet,    // /dev/null
  kDetachedInherit,  // output goes where the agent's own messages go
};

// A command that has been forked. The owner of the process reaps it.
struct Launched {
  pid_t pid = 0;  // also of its session and process group
  // Our ends, non-blocking. A terminal has one, in `input`, for both ways.
  UniqueFd input;
  UniqueFd output;
  UniqueFd errors;
  // The terminal's other side, to be closed when the command runs: without it
  // the terminal would seem to hang up before the command has opened it.
  UniqueFd terminal;
  // Becomes readable when the command runs, or does not: ReadResult().
  UniqueFd result;
};

// Forks and lets the child become `user` and execute the plan. The user is
// changed only if it is not the agent's own. `limits` is what the child gets
// for RLIMIT_NOFILE. An error is the system's: nothing was forked.
absl::StatusOr<Launched> Launch(const Plan& plan, const User& user,
                                Streams streams,
                                const command::WindowSize& window_size,
                                const rlimit& files);

// What `fd` of Launched::result says: nullopt, the command runs. To be called
// when it is readable, or when the child is known to have ended.
std::optional<command::Error> ReadResult(int fd, const Plan& plan);

// Tells a terminal its size.
void SetWindowSize(int terminal, const command::WindowSize& size);

}  // namespace vmsilo::agent
