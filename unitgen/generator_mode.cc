#include "unitgen/generator_mode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::unitgen {
namespace {

constexpr absl::string_view kSystemUnits = "systemd/system/";
constexpr absl::string_view kOurs = "vmsilo-";

// systemd reads lines of at most 1 MiB, and a unit has few long ones.
constexpr size_t kMaxUnitBytes = 4 << 20;

// The kernel refuses records of more than 1024 bytes less its own prefix
// (LOG_LINE_MAX and PREFIX_MAX in kernel/printk/internal.h).
constexpr size_t kMaxRecord = 976;

// Makes one file at the first attempt, which in a directory of systemd's is
// always the last.
template <typename Make>
absl::Status MakeAnew(int directory, const char* name, Make make) {
  if (make()) return absl::OkStatus();
  if (errno == EEXIST && unlinkat(directory, name, 0) == 0 && make()) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("create ", Quoted(name)));
}

absl::Status WriteOne(int directory, const char* name, const File& file) {
  if (file.kind == File::Kind::kSymlink) {
    return MakeAnew(directory, name, [&] {
      return symlinkat(file.content.c_str(), directory, name) == 0;
    });
  }
  UniqueFd fd;
  VMSILO_RETURN_IF_ERROR(MakeAnew(directory, name, [&] {
    fd = UniqueFd(openat(directory, name,
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         file.mode & 0777));
    return fd.is_valid();
  }));
  absl::Status status = WriteAll(fd.get(), file.content);
  if (status.ok()) return status;
  // Half a unit is worse than none.
  (void)unlinkat(directory, name, 0);
  return Annotate(status, Quoted(name));
}

absl::Status WriteAllUnits(int root, const Output& output) {
  // Files come directory by directory, so only the last one is kept open.
  std::string last_name;
  UniqueFd last;
  for (const auto& [path, file] : output.files) {
    absl::string_view name = path;
    if (!absl::ConsumePrefix(&name, kSystemUnits)) continue;
    int parent = root;
    const size_t slash = name.find('/');
    if (slash != absl::string_view::npos) {
      const absl::string_view subdirectory = name.substr(0, slash);
      if (subdirectory != last_name) {
        last_name = std::string(subdirectory);
        if (mkdirat(root, last_name.c_str(), 0755) != 0 && errno != EEXIST) {
          return ErrnoStatus(absl::StrCat("make ", Quoted(last_name)));
        }
        VMSILO_ASSIGN_OR_RETURN(
            last, OpenAt(root, last_name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
      }
      parent = last.get();
      name.remove_prefix(slash + 1);
    }
    // `name` ends where `path` does, so it ends in a NUL.
    VMSILO_RETURN_IF_ERROR(WriteOne(parent, name.data(), file));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsGeneratorCall(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) return false;
  for (const std::string& argument : arguments) {
    if (argument.empty() || argument[0] != '/') return false;
  }
  return true;
}

absl::Status WriteUnits(const std::string& directory, const Output& output) {
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd root,
                          Open(directory, O_PATH | O_DIRECTORY));
  absl::Status status = WriteAllUnits(root.get(), output);
  if (status.ok()) return status;
  // Some of the units would be worse than none, and on a full disk the one
  // that tells of it needs the room.
  for (const auto& [path, file] : output.files) {
    absl::string_view name = path;
    if (!absl::ConsumePrefix(&name, kSystemUnits)) continue;
    (void)unlinkat(root.get(), name.data(), 0);
  }
  return status;
}

absl::StatusOr<Output> ReadUnits(const std::string& directory) {
  Output output;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(directory, error);
  if (error == std::errc::no_such_file_or_directory) return output;
  // Links to directories are not followed.
  for (; !error && at != std::filesystem::recursive_directory_iterator();
       at.increment(error)) {
    const std::string path = at->path();
    const absl::string_view name =
        absl::string_view(path).substr(directory.size() + 1);
    // In "sockets.target.wants" our link, in "vmsilo-x.service.d" a drop-in.
    if (!absl::StartsWith(name, kOurs) &&
        !absl::StrContains(name, absl::StrCat("/", kOurs))) {
      continue;
    }
    File file;
    if (at->is_symlink(error)) {
      file.kind = File::Kind::kSymlink;
      file.content = std::filesystem::read_symlink(at->path(), error);
    } else if (at->is_regular_file(error)) {
      VMSILO_ASSIGN_OR_RETURN(file.content, ReadFile(path, kMaxUnitBytes));
    } else {
      continue;
    }
    if (error) break;
    output.files[absl::StrCat(kSystemUnits, name)] = std::move(file);
  }
  if (error) return ErrnoStatus(error.value(), Quoted(directory));
  return output;
}

GeneratorLog::GeneratorLog(absl::string_view exec_pid) : fd_(STDERR_FILENO) {
  if (exec_pid != absl::StrCat(getpid())) return;
  // Containers have no such device; their manager's stderr is as good.
  const int kernel = open("/dev/kmsg", O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (kernel < 0) return;
  fd_ = kernel;
  is_kernel_ = true;
}

GeneratorLog::~GeneratorLog() {
  if (is_kernel_) (void)close(fd_);
}

void GeneratorLog::Write(int priority, absl::string_view message) {
  // Nobody is left to tell when this fails; the unit that fails tells it too.
  (void)WriteAll(fd_, is_kernel_
                          ? KernelRecord(priority, getpid(), message)
                          : absl::StrCat("vmsilo-unitgen: ", message, "\n"));
}

std::string KernelRecord(int priority, int pid, absl::string_view message) {
  std::string record =
      absl::StrCat("<", priority, ">vmsilo-unitgen[", pid, "]: ", message);
  if (record.size() > kMaxRecord - 1) record.resize(kMaxRecord - 1);
  for (char& c : record) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  record += '\n';
  return record;
}

}  // namespace vmsilo::unitgen
