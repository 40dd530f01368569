#include "common/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace vmsilo {
namespace {

// A sanitizer looks for leaks at the end, with system calls of its own and by
// reading files of /proc; under it a forbidden call is logged and let through,
// and files stay open to it. No release has it.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kIsUnderSanitizer = true;
#else
constexpr bool kIsUnderSanitizer = false;
#endif
constexpr uint32_t kOtherwise =
    kIsUnderSanitizer ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;

struct ReleaseFilter {
  void operator()(void* context) const { seccomp_release(context); }
};

// Landlock's rights by version; headers of older distributions lack some.
constexpr uint64_t kRightRefer = uint64_t{1} << 13;     // 2
constexpr uint64_t kRightTruncate = uint64_t{1} << 14;  // 3
constexpr uint64_t kRightIoctl = uint64_t{1} << 15;     // 5
constexpr uint64_t kRightsOfVersion1 = (uint64_t{1} << 13) - 1;

constexpr uint64_t kReadRights =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// What makes sense on something that is no directory.
constexpr uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_EXECUTE | kRightTruncate | kRightIoctl;

uint64_t Rights(PathAccess::Kind kind) {
  switch (kind) {
    case PathAccess::Kind::kRead:
      return kReadRights;
    case PathAccess::Kind::kReadWrite:
      return kReadRights | LANDLOCK_ACCESS_FS_WRITE_FILE |
             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
             LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |
             kRightTruncate;
    case PathAccess::Kind::kRemoveFiles:
      return LANDLOCK_ACCESS_FS_REMOVE_FILE;
    case PathAccess::Kind::kDevice:
      return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
             kRightIoctl;
  }
  return 0;
}

absl::Status NoNewPrivileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus("set no_new_privs");
  }
  return absl::OkStatus();
}

}  // namespace

SyscallFilter& SyscallFilter::Allow(absl::string_view purpose,
                                    std::initializer_list<const char*> names) {
  for (const char* name : names) {
    rules_.push_back({.purpose = std::string(purpose), .name = name});
  }
  return *this;
}

SyscallFilter& SyscallFilter::AllowIf(
    absl::string_view purpose, const char* name,
    std::initializer_list<ArgumentIs> conditions) {
  rules_.push_back({.purpose = std::string(purpose),
                    .name = name,
                    .conditions = conditions});
  return *this;
}

SyscallFilter& SyscallFilter::AllowRuntime() {
  Allow("memory", {"brk", "munmap", "mremap", "madvise"});
  AllowIf("memory", "mmap", {{.index = 2, .value = 0, .mask = PROT_EXEC}});
  Allow("event loop", {"epoll_create1", "epoll_ctl", "epoll_wait",
                       "epoll_pwait", "epoll_pwait2", "timerfd_create",
                       "timerfd_settime", "signalfd4", "rt_sigprocmask"});
  Allow("descriptors in hand", {"read", "write", "writev", "close", "lseek"});
  Allow("clock", {"clock_gettime", "clock_nanosleep", "gettimeofday"});
  Allow("identity", {"getpid", "gettid", "getrandom"});
  Allow("locks of the C library", {"futex", "sched_yield"});
  Allow("signals that interrupt", {"rt_sigreturn", "restart_syscall"});
  Allow("the end", {"exit", "exit_group", "tgkill", "rt_sigaction"});
  return *this;
}

SyscallFilter& SyscallFilter::AllowNotify() {
  AllowIf("reach the service manager", "socket",
          {{.index = 0, .value = AF_UNIX}});
  Allow("tell it", {"sendmsg"});
  // Room in the buffer for descriptors, and who it is that sends them.
  AllowIf("room to tell it", "setsockopt", {{.index = 1, .value = SOL_SOCKET}});
  Allow("tell it who it is",
        {"getsockopt", "getuid", "geteuid", "getgid", "getegid"});
  return *this;
}

absl::Status SyscallFilter::Install() const {
  const std::unique_ptr<void, ReleaseFilter> context(seccomp_init(kOtherwise));
  if (context == nullptr) return absl::InternalError("seccomp_init failed");
  const auto check = [](int result, absl::string_view what) {
    return result == 0
               ? absl::OkStatus()
               : absl::ErrnoToStatus(-result, absl::StrCat("seccomp: ", what));
  };
  // What kills a process should be in the audit log.
  absl::Status status =
      check(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_LOG, 1), "log");
  if (!status.ok()) return status;
  for (const Rule& rule : rules_) {
    const int number = seccomp_syscall_resolve_name(rule.name.c_str());
    if (number == __NR_SCMP_ERROR) {
      return absl::InvalidArgumentError(
          absl::StrCat("seccomp: no system call ", Quoted(rule.name)));
    }
    if (number < 0) continue;  // not on this architecture
    std::vector<scmp_arg_cmp> conditions;
    for (const ArgumentIs& argument : rule.conditions) {
      conditions.push_back({.arg = argument.index,
                            .op = SCMP_CMP_MASKED_EQ,
                            .datum_a = argument.mask,
                            .datum_b = argument.value});
    }
    const int result = seccomp_rule_add_array(
        context.get(), SCMP_ACT_ALLOW, number,
        static_cast<unsigned>(conditions.size()), conditions.data());
    status = check(result, absl::StrCat(rule.purpose, ": ", rule.name));
    if (!status.ok()) return status;
  }
  return check(seccomp_load(context.get()), "load the filter");
}

absl::Status DropCapabilities(std::initializer_list<int> keep) {
  uint64_t kept = 0;
  for (const int capability : keep) kept |= uint64_t{1} << capability;
  // Those that executing a file could bring back; needs one that a process
  // without privileges lacks, and then there is nothing to bring back either.
  for (int capability = 0; capability < 64; ++capability) {
    if ((kept >> capability & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) break;
  }
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                     .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  // Nothing to ask for: a filter that is there already need not allow it.
  if (kept != 0 && syscall(SYS_capget, &header, data) != 0) {
    return ErrnoStatus("ask for the own capabilities");
  }
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    data[i].permitted &= static_cast<uint32_t>(kept >> (32 * i));
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) {
    return ErrnoStatus("drop capabilities");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RestrictFiles(const std::vector<PathAccess>& allowed) {
  if (kIsUnderSanitizer) return false;
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0,
                               LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 0) {
    // EPERM: the filter of a container that does not know the call.
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM) return false;
    return ErrnoStatus("ask for Landlock");
  }
  uint64_t handled = kRightsOfVersion1;
  if (version >= 2) handled |= kRightRefer;
  if (version >= 3) handled |= kRightTruncate;
  if (version >= 5) handled |= kRightIoctl;

  landlock_ruleset_attr attributes = {};
  attributes.handled_access_fs = handled;
  const UniqueFd ruleset(static_cast<int>(syscall(
      SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0)));
  if (!ruleset.is_valid()) return ErrnoStatus("create a Landlock ruleset");
  for (const PathAccess& access : allowed) {
    const UniqueFd path(open(access.path.c_str(), O_PATH | O_CLOEXEC));
    if (!path.is_valid()) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
      return ErrnoStatus(absl::StrCat("open ", Quoted(access.path)));
    }
    struct stat info = {};
    if (fstat(path.get(), &info) != 0) {
      return ErrnoStatus(absl::StrCat("stat ", Quoted(access.path)));
    }
    landlock_path_beneath_attr rule = {};
    rule.parent_fd = path.get();
    rule.allowed_access = Rights(access.kind) & handled;
    if (!S_ISDIR(info.st_mode)) rule.allowed_access &= kFileRights;
    if (rule.allowed_access == 0) continue;
    if (syscall(SYS_landlock_add_rule, ruleset.get(),
                LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
      return ErrnoStatus(absl::StrCat("allow ", Quoted(access.path)));
    }
  }
  const absl::Status status = NoNewPrivileges();
  if (!status.ok()) return status;
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return ErrnoStatus("restrict access to files");
  }
  return true;
}

}  // namespace vmsilo
