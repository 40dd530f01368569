#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Confinement of this process, for good. A program calls these when it has
// opened what it needs, before the first byte of a peer.

namespace vmsilo {

// A condition on one argument of a system call: `(argument & mask) == value`.
struct ArgumentIs {
  unsigned index = 0;  // 0 is the first
  uint64_t value = 0;
  uint64_t mask = ~uint64_t{0};
};

// The system calls that a program may make. Everything else kills it, and the
// kernel logs which call it was.
class SyscallFilter {
 public:
  // System calls by name, for a purpose that a reader understands. Names that
  // this machine's architecture does not have are skipped.
  SyscallFilter& Allow(absl::string_view purpose,
                       std::initializer_list<const char*> names);

  // One, if all conditions hold. May be repeated for other conditions.
  SyscallFilter& AllowIf(absl::string_view purpose, const char* name,
                         std::initializer_list<ArgumentIs> conditions);

  // What every program of this project needs: memory that is never
  // executable, the event loop, its timers and signals, the log, the clock,
  // and to end.
  SyscallFilter& AllowRuntime();

  // What notify.h does.
  SyscallFilter& AllowNotify();

  // Arms the filter and with it "no new privileges". Another filter may follow,
  // if `prctl` and `seccomp` are allowed; both count then. InvalidArgument
  // for a name that no system call has.
  absl::Status Install() const;

 private:
  struct Rule {
    std::string purpose;
    std::string name;
    std::vector<ArgumentIs> conditions;
  };
  std::vector<Rule> rules_;
};

// Gives up every capability but those of `keep` (CAP_…, as far as they are
// there), those to come by executing something included.
absl::Status DropCapabilities(std::initializer_list<int> keep = {});

// What may be done below a path.
struct PathAccess {
  std::string path;
  enum class Kind {
    kRead,
    kReadWrite,  // create and remove, too
    kRemoveFiles,
    kDevice,  // read, write and control
  } kind = Kind::kRead;
};

// Restricts access to files to `allowed` (Landlock). Paths that do not exist
// are skipped. False if the kernel has no Landlock, or has it switched off:
// then nothing is restricted, and the system call filter carries the promise.
absl::StatusOr<bool> RestrictFiles(const std::vector<PathAccess>& allowed);

}  // namespace vmsilo
