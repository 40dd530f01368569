#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

// Confinement cannot be taken back, so each case has a process of its own.
// What waitpid() says about it.
int StatusOf(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool IsKilled([[maybe_unused]] int status) {
#if defined(__SANITIZE_ADDRESS__)
  return true;  // logged only, see sandbox.cc
#else
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
#endif
}

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SyscallFilterTest, LetsThroughWhatIsAllowed) {
  EXPECT_EQ(ExitCode(StatusOf([] {
              if (!SyscallFilter().AllowRuntime().Install().ok()) return 1;
              std::string memory(1 << 20, 'x');  // mmap
              return getpid() > 0 && !memory.empty() ? 0 : 2;
            })),
            0);
}

TEST(SyscallFilterTest, KillsForAnythingElse) {
  EXPECT_TRUE(IsKilled(StatusOf([] {
    if (!SyscallFilter().AllowRuntime().Install().ok()) return 1;
    (void)socket(AF_UNIX, SOCK_STREAM, 0);
    return 0;
  })));
}

TEST(SyscallFilterTest, LooksAtArguments) {
  const auto with_family = [](int family) {
    return StatusOf([family] {
      SyscallFilter filter;
      filter.AllowRuntime().AllowIf("test", "socket",
                                    {{.index = 0, .value = AF_UNIX}});
      if (!filter.Install().ok()) return 1;
      return socket(family, SOCK_STREAM, 0) >= 0 ? 0 : 2;
    });
  };
  EXPECT_EQ(ExitCode(with_family(AF_UNIX)), 0);
  EXPECT_TRUE(IsKilled(with_family(AF_INET)));
}

TEST(SyscallFilterTest, MemoryIsNeverExecutable) {
  EXPECT_TRUE(IsKilled(StatusOf([] {
    if (!SyscallFilter().AllowRuntime().Install().ok()) return 1;
    // By number, because sys/mman.h's constants are clearer than its wrapper.
    (void)syscall(SYS_mmap, nullptr, 4096, 4 /* PROT_EXEC */,
                  0x22 /* MAP_PRIVATE | MAP_ANONYMOUS */, -1, 0);
    return 0;
  })));
}

TEST(SyscallFilterTest, ASecondFilterNarrowsTheFirst) {
  EXPECT_TRUE(IsKilled(StatusOf([] {
    SyscallFilter first;
    first.AllowRuntime().Allow("test", {"prctl", "seccomp", "getppid"});
    if (!first.Install().ok() || getppid() < 0) return 1;
    if (!SyscallFilter().AllowRuntime().Install().ok()) return 2;
    (void)syscall(SYS_getppid);
    return 0;
  })));
}

TEST(SyscallFilterTest, SetsNoNewPrivileges) {
  EXPECT_EQ(ExitCode(StatusOf([] {
              SyscallFilter filter;
              filter.AllowRuntime().Allow("test", {"prctl"});
              if (!filter.Install().ok()) return 1;
              return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
            })),
            1);
}

TEST(SyscallFilterTest, RefusesANameThatNoSystemCallHas) {
  EXPECT_THAT(
      SyscallFilter().Allow("test", {"spilce"}).Install(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'spilce'")));
}

// Of this process: those it has, and those it could get.
struct Capabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;

  static Capabilities Get() {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3,
                                       .pid = 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    if (syscall(SYS_capget, &header, data) != 0) _exit(100);
    const auto join = [](uint32_t low, uint32_t high) {
      return uint64_t{high} << 32 | low;
    };
    return {.effective = join(data[0].effective, data[1].effective),
            .permitted = join(data[0].permitted, data[1].permitted),
            .inheritable = join(data[0].inheritable, data[1].inheritable)};
  }

  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

TEST(DropCapabilitiesTest, LeavesNone) {
  EXPECT_EQ(ExitCode(StatusOf([] {
              if (!DropCapabilities().ok()) return 1;
              return Capabilities::Get() == Capabilities() ? 0 : 2;
            })),
            0);
}

TEST(DropCapabilitiesTest, LeavesWhatIsToBeKeptAndWasThere) {
  EXPECT_EQ(ExitCode(StatusOf([] {
              constexpr uint64_t kKept = uint64_t{1} << CAP_DAC_OVERRIDE;
              const uint64_t had = Capabilities::Get().permitted;
              if (!DropCapabilities({CAP_DAC_OVERRIDE}).ok()) return 1;
              const Capabilities want = {.effective = had & kKept,
                                         .permitted = had & kKept};
              if (Capabilities::Get() != want) return 2;
              // What was not kept is gone for good.
              if (!DropCapabilities({CAP_SYS_RESOURCE}).ok()) return 3;
              return Capabilities::Get() == Capabilities() ? 0 : 4;
            })),
            0);
}

TEST(RestrictFilesTest, AllowsOnlyWhatIsListed) {
  const TempDir open_dir;
  const TempDir closed_dir;
  const auto result = ExitCode(StatusOf([&] {
    const std::string inside = absl::StrCat(open_dir.path(), "/file");
    const std::string outside = absl::StrCat(closed_dir.path(), "/file");
    for (const std::string& path : {inside, outside}) {
      const int fd = open(path.c_str(), O_CREAT | O_WRONLY, 0600);
      if (fd < 0) return 10;
      close(fd);
    }
    const absl::StatusOr<bool> has_landlock =
        RestrictFiles({{.path = std::string(open_dir.path()),
                        .kind = PathAccess::Kind::kRead},
                       {.path = "/does/not/exist"}});
    if (!has_landlock.ok()) return 11;
    const bool reads_inside = open(inside.c_str(), O_RDONLY) >= 0;
    const bool writes_inside = open(inside.c_str(), O_WRONLY) >= 0;
    const bool reads_outside = open(outside.c_str(), O_RDONLY) >= 0;
    if (!reads_inside) return 12;
    // Without Landlock it says so, and everything stays as it was.
    if (writes_inside == *has_landlock) return 13;
    return reads_outside == *has_landlock ? 14 : 0;
  }));
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace vmsilo
