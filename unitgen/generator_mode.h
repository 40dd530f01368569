#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "unitgen/output.h"

// vmsilo-unitgen as a generator of systemd (man 7 systemd.generator): run at
// every boot and reload, before anything else, and waited for. There is no
// journal yet, no D-Bus and no user database, and no time for fsync() on what
// is a tmpfs.
namespace vmsilo::unitgen {

// Whether the command line (without the program's name) is that of a
// generator: three directories, by absolute paths. No command begins so.
bool IsGeneratorCall(const std::vector<std::string>& arguments);

// Writes the system units of `output` to `directory`, which systemd has just
// made. What stands in the way, after a call by hand, is replaced. After a
// failure none of the units is there.
absl::Status WriteUnits(const std::string& directory, const Output& output);

// Reads back what WriteUnits() wrote to `directory`, or to one that this is a
// copy of: files and links of ours, others are passed over. Nothing if there
// is no such directory.
absl::StatusOr<Output> ReadUnits(const std::string& directory);

// Where a generator's messages go: the kernel's log when systemd has started
// us, else stderr. `exec_pid` is $SYSTEMD_EXEC_PID or "".
class GeneratorLog {
 public:
  explicit GeneratorLog(absl::string_view exec_pid);
  ~GeneratorLog();
  GeneratorLog(const GeneratorLog&) = delete;
  GeneratorLog& operator=(const GeneratorLog&) = delete;

  void Error(absl::string_view message) { Write(3, message); }
  void Warning(absl::string_view message) { Write(4, message); }

 private:
  void Write(int priority, absl::string_view message);

  int fd_;
  bool is_kernel_ = false;
};

// One record of the kernel's log: "<PRIORITY>vmsilo-unitgen[PID]: MESSAGE" and
// a line end. Cut to what the kernel takes, without control characters.
std::string KernelRecord(int priority, int pid, absl::string_view message);

}  // namespace vmsilo::unitgen
