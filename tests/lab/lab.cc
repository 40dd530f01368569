// lab (container|machine) [OPTION...] [--] PROGRAM [ARGUMENT...]
//
// Runs PROGRAM as root under a real systemd as PID 1 and exits with its
// status. What it prints comes out here; its input is empty. It finds the
// machine's own files, read-only in effect: what it writes goes to RAM and is
// gone afterwards.
//
//   container  systemd-nspawn on an overlay of the machine's root: up in 3 s,
//              the machine's kernel
//   machine    an emulated computer (QEMU without KVM) on such an overlay,
//              with a kernel of its own: KVM, vsock, and whatever needs root
//              over a kernel
//
//   --timeout=SECONDS  for everything; Bazel's limit, if there is one, else 300
//   --install=FILE:PATH  FILE is there as PATH before the boot (container only)
//   --terminal         PROGRAM has this terminal (machine only)
//   --memory=MIB       of the machine
//   --qemu=ARGUMENT    one more argument for QEMU
//   --verbose          say how long the boot took
//
// Files that it needs are found from the runfiles directory of the rule
// lab_test, which is the working directory of a test.

#include <getopt.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/parse_number.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "tests/lab/job.h"
#include "tests/lab/supervise.h"

extern char** environ;

namespace vmsilo::lab {
namespace {

// Kept from Bazel's limit for reporting and cleaning up.
constexpr absl::Duration kReserve = absl::Seconds(15);
// How much of the end of the console's log is shown after a failure.
constexpr size_t kShownConsoleBytes = 16 << 10;
constexpr size_t kMaxConsoleBytes = 64 << 20;

constexpr char kPath[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Options {
  bool is_machine = false;
  bool has_terminal = false;
  bool is_verbose = false;
  absl::Duration timeout = absl::Minutes(5);
  int memory_mib = 3072;
  std::vector<std::string> qemu_arguments;
  struct Installed {
    std::string file;
    std::string path;
  };
  std::vector<Installed> installed;
  std::vector<std::string> command;
};

absl::StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  const char* limit = getenv("TEST_TIMEOUT");
  if (limit != nullptr) {
    VMSILO_ASSIGN_OR_RETURN(const int seconds,
                            ParseNumber<int>(limit, 30, 1 << 20));
    options.timeout = absl::Seconds(seconds) - kReserve;
  }
  const std::string place = argc > 1 ? argv[1] : "";
  if (place != "container" && place != "machine") {
    return absl::InvalidArgumentError(
        "usage: lab (container|machine) [OPTION...] [--] PROGRAM "
        "[ARGUMENT...]");
  }
  options.is_machine = place == "machine";
  const option kOptions[] = {
      {"timeout", required_argument, nullptr, 't'},
      {"terminal", no_argument, nullptr, 'i'},
      {"memory", required_argument, nullptr, 'm'},
      {"install", required_argument, nullptr, 'f'},
      {"qemu", required_argument, nullptr, 'q'},
      {"verbose", no_argument, nullptr, 'v'},
      {nullptr, 0, nullptr, 0},
  };
  optind = 2;
  for (int key;
       (key = getopt_long(argc, argv, "+", kOptions, nullptr)) != -1;) {
    switch (key) {
      case 't': {
        VMSILO_ASSIGN_OR_RETURN(const int seconds,
                                ParseNumber<int>(optarg, 1, 1 << 20));
        options.timeout = absl::Seconds(seconds);
        break;
      }
      case 'm': {
        VMSILO_ASSIGN_OR_RETURN(options.memory_mib,
                                ParseNumber<int>(optarg, 256, 1 << 20));
        break;
      }
      case 'f': {
        const std::vector<std::string> pair =
            absl::StrSplit(optarg, absl::MaxSplits(':', 1));
        if (pair.size() != 2 || !absl::StartsWith(pair[1], "/")) {
          return absl::InvalidArgumentError("--install=FILE:PATH");
        }
        options.installed.push_back({.file = pair[0], .path = pair[1]});
        break;
      }
      case 'i':
        options.has_terminal = true;
        break;
      case 'q':
        options.qemu_arguments.push_back(optarg);
        break;
      case 'v':
        options.is_verbose = true;
        break;
      default:
        return absl::InvalidArgumentError("see the head of tests/lab/lab.cc");
    }
  }
  options.command.assign(argv + optind, argv + argc);
  if (options.command.empty()) {
    return absl::InvalidArgumentError("no program to run");
  }
  if (options.has_terminal && !options.is_machine) {
    return absl::InvalidArgumentError("--terminal is for machines");
  }
  if (!options.installed.empty() && options.is_machine) {
    return absl::InvalidArgumentError("--install is for containers");
  }
  return options;
}

absl::StatusOr<std::string> RealPath(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return ErrnoStatus(path);
  std::string result = real;
  free(real);
  return result;
}

// A file of this package, or what one of it stands for.
absl::StatusOr<std::string> Runfile(absl::string_view name) {
  return RealPath(absl::StrCat("tests/lab/", name));
}

absl::Status NeedProgram(absl::string_view name, absl::string_view package) {
  for (const absl::string_view directory :
       absl::StrSplit(absl::StripPrefix(kPath, "PATH="), ':')) {
    const std::string path = absl::StrCat(directory, "/", name);
    if (access(path.c_str(), X_OK) == 0) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      name, " is not installed: apt-get install ", package, ", or ./setup"));
}

absl::Status Mount(const std::string& source, const std::string& target,
                   const char* type, const std::string& data) {
  if (mount(source.c_str(), target.c_str(), type, 0, data.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("mount ", type, " on ", target));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0) {
    return ErrnoStatus(absl::StrCat("mkdir ", path));
  }
  return absl::OkStatus();
}

// The job as the inside sees it: the same paths, the test's variables.
absl::StatusOr<Job> MakeJob(const Options& options) {
  Job job{.arguments = options.command};
  VMSILO_ASSIGN_OR_RETURN(job.directory, RealPath("."));
  VMSILO_ASSIGN_OR_RETURN(job.arguments[0], RealPath(job.arguments[0]));
  job.environment = {kPath, "HOME=/root", "LANG=C.UTF-8"};
  winsize size = {};
  if (options.has_terminal && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_row != 0) {
    // The runner gives them to the console, which does not know them.
    job.environment.push_back(absl::StrCat("LINES=", size.ws_row));
    job.environment.push_back(absl::StrCat("COLUMNS=", size.ws_col));
  }
  for (char** variable = environ; *variable != nullptr; ++variable) {
    for (const absl::string_view prefix :
         {"TEST_", "TESTBRIDGE_", "GTEST_", "RUNFILES_", "TERM=", "LAB_"}) {
      if (absl::StartsWith(*variable, prefix)) {
        job.environment.push_back(*variable);
      }
    }
  }
  return job;
}

// The topmost mount point on the way to `path` that is not the root's own; an
// overlay of the root is empty there.
std::string MountAbove(const std::string& path) {
  struct stat root;
  if (stat("/", &root) != 0) return "";
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string above = path.substr(0, end);
    struct stat status;
    if (stat(above.c_str(), &status) != 0) return "";
    if (status.st_dev != root.st_dev) {
      return S_ISDIR(status.st_mode) ? above : "";
    }
    if (end == std::string::npos) return "";
  }
}

// A copy: what systemd runs while it boots cannot be elsewhere.
absl::Status Install(const Options::Installed& installed,
                     const std::string& root) {
  const std::filesystem::path target = root + installed.path;
  std::error_code error;
  std::filesystem::create_directories(target.parent_path(), error);
  if (!error) {
    std::filesystem::copy_file(
        installed.file, target,
        std::filesystem::copy_options::overwrite_existing, error);
  }
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("install ", installed.file, " as ",
                                          installed.path, ": ",
                                          error.message()));
}

absl::StatusOr<std::vector<std::string>> PrepareContainer(
    const Options& options, const std::string& directory, const Job& job) {
  VMSILO_RETURN_IF_ERROR(NeedProgram("systemd-nspawn", "systemd-container"));
  // In a mount namespace of this process's own nothing has to be unmounted,
  // however it ends.
  if (unshare(CLONE_NEWNS) != 0) return ErrnoStatus("unshare mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoStatus("make mounts private");
  }
  const std::string memory = absl::StrCat(directory, "/memory");
  VMSILO_RETURN_IF_ERROR(MakeDirectory(memory));
  VMSILO_RETURN_IF_ERROR(Mount("lab", memory, "tmpfs", "mode=0755"));
  const std::string upper = absl::StrCat(memory, "/upper");
  const std::string work = absl::StrCat(memory, "/work");
  const std::string root = absl::StrCat(memory, "/root");
  for (const std::string& path : {upper, work, root}) {
    VMSILO_RETURN_IF_ERROR(MakeDirectory(path));
  }
  VMSILO_RETURN_IF_ERROR(
      Mount("lab", root, "overlay",
            absl::StrCat("lowerdir=/,upperdir=", upper, ",workdir=", work)));

  VMSILO_ASSIGN_OR_RETURN(const std::string script, Runfile("prepare_root"));
  VMSILO_ASSIGN_OR_RETURN(const std::string unit, Runfile("lab.service"));
  const std::string units = unit.substr(0, unit.rfind('/'));
  const std::string prepare =
      absl::StrCat("/bin/sh '", script, "' '", root, "' '", units, "' ",
                   kSharedDirectory, "/runner sockets");
  // NOLINTNEXTLINE(bugprone-command-processor): our own script and paths
  if (system(prepare.c_str()) != 0) {
    return absl::InternalError("prepare_root failed");
  }
  for (const Options::Installed& installed : options.installed) {
    VMSILO_RETURN_IF_ERROR(Install(installed, root));
  }
  // Else it hides /tmp, where a clone may be.
  setenv("SYSTEMD_NSPAWN_TMPFS_TMP", "0", /*overwrite=*/1);
  std::vector<std::string> command = {
      "systemd-nspawn",
      "--quiet",
      "--settings=no",
      "--register=no",
      "--keep-unit",
      "--private-network",
      "--link-journal=no",
      "--resolv-conf=off",
      "--timezone=off",
      "--console=pipe",
      absl::StrCat("--machine=lab-", getpid()),
      absl::StrCat("--directory=", root),
      absl::StrCat("--bind=", directory, "/shared:", kSharedDirectory),
      "--boot",
  };
  for (const std::string& path : {job.arguments[0], job.directory}) {
    const std::string mount_point = MountAbove(path);
    if (!mount_point.empty()) {
      command.push_back(absl::StrCat("--bind-ro=", mount_point));
    }
  }
  return command;
}

absl::StatusOr<std::vector<std::string>> PrepareMachine(
    const Options& options, const std::string& directory) {
  VMSILO_RETURN_IF_ERROR(NeedProgram("qemu-system-x86_64", "qemu-system-x86"));
  VMSILO_ASSIGN_OR_RETURN(const std::string kernel, Runfile("machine_vmlinuz"));
  VMSILO_ASSIGN_OR_RETURN(const std::string initrd, Runfile("machine.cpio"));
  const std::string modules =
      absl::StrCat(kernel.substr(0, kernel.rfind('/')), "/lib/modules");
  const std::string shared = absl::StrCat(directory, "/shared");
  std::vector<std::string> command = {
      "qemu-system-x86_64",
      "-name",
      "lab",
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-no-reboot",
      "-machine",
      "q35",
      // Debian's kernels do not boot under every nested KVM; the emulator is
      // the same everywhere, and its processor has SVM for the silos inside.
      "-accel",
      "tcg,thread=multi,tb-size=512",
      "-cpu",
      // Kernel and C library copy with `rep movsb` where these are, which the
      // emulator does byte by byte; without, it is eight bytes at a time.
      "max,-erms,-fsrm",
      // With two, a guest inside, or the whole machine, stands still for good
      // once in a hundred boots or so.
      "-smp",
      "1",
      "-m",
      absl::StrCat(options.memory_mib),
      "-kernel",
      kernel,
      "-initrd",
      initrd,
      "-append",
      absl::StrCat(
          "console=ttyS0 quiet panic=-1 psi=1 mitigations=off "
          "audit=0 apparmor=0 selinux=0 random.trust_cpu=on "
          "rcupdate.rcu_expedited=1 systemd.show_status=0 "
          "net.ifnames=0 lab.modules=",
          modules, " lab.runner=", kSharedDirectory,
          "/runner lab.channels=", options.has_terminal ? "terminal" : "ports"),
      "-serial",
      absl::StrCat("file:", directory, "/console"),
      "-fsdev",
      "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
      "-device",
      "virtio-9p-pci,fsdev=root,mount_tag=root",
      "-fsdev",
      absl::StrCat("local,id=lab,path=", shared,
                   ",security_model=none,readonly=on"),
      "-device",
      "virtio-9p-pci,fsdev=lab,mount_tag=lab",
      "-device",
      "virtio-serial-pci",
      "-chardev",
      absl::StrCat("socket,id=status,path=", shared, "/", kStatusSocket),
      "-device",
      "virtserialport,chardev=status,name=lab.status",
  };
  if (options.has_terminal) {
    for (const char* argument : {"-chardev", "stdio,id=terminal,signal=off",
                                 "-device", "virtconsole,chardev=terminal"}) {
      command.push_back(argument);
    }
  } else {
    for (const std::string& argument :
         {std::string("-chardev"),
          absl::StrCat("socket,id=output,path=", shared, "/", kOutputSocket),
          std::string("-device"),
          std::string("virtserialport,chardev=output,name=lab.output")}) {
      command.push_back(argument);
    }
  }
  command.insert(command.end(), options.qemu_arguments.begin(),
                 options.qemu_arguments.end());
  return command;
}

void ShowConsole(const std::string& path) {
  const absl::StatusOr<std::string> log = ReadFile(path, kMaxConsoleBytes);
  if (!log.ok()) return;
  const size_t start = log->size() > kShownConsoleBytes
                           ? log->find('\n', log->size() - kShownConsoleBytes)
                           : 0;
  std::cerr << "lab: the end of the console's log:\n"
            << log->substr(start == std::string::npos ? 0 : start) << "\n";
}

absl::StatusOr<int> Run(const Options& options) {
  if (geteuid() != 0) {
    return absl::PermissionDeniedError("a lab needs root");
  }
  VMSILO_ASSIGN_OR_RETURN(const Job job, MakeJob(options));

  // Not in the test's own directory: its path is too long for sockets.
  const char* parent = getenv("TMPDIR");
  std::string directory =
      absl::StrCat(parent == nullptr ? "/tmp" : parent, "/vmsilo-lab.XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) return ErrnoStatus("mkdtemp");
  const absl::Cleanup remove = [&directory] {
    // The overlay is a mount of its own inside.
    (void)umount2(absl::StrCat(directory, "/memory/root").c_str(), MNT_DETACH);
    (void)umount2(absl::StrCat(directory, "/memory").c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  };
  const std::string shared = absl::StrCat(directory, "/shared");
  VMSILO_RETURN_IF_ERROR(MakeDirectory(shared));
  VMSILO_RETURN_IF_ERROR(WriteFileAtomically(
      absl::StrCat(shared, "/", kJobFile), SerializeJob(job), 0600));
  VMSILO_ASSIGN_OR_RETURN(const std::string runner, Runfile("lab_runner"));
  std::error_code error;
  std::filesystem::copy_file(runner, absl::StrCat(shared, "/runner"), error);
  if (error) return absl::InternalError(absl::StrCat("copy ", runner));

  Supervision supervision{
      .directory = shared,
      .console = absl::StrCat(directory, "/console"),
      .inherits_terminal = options.has_terminal,
      .timeout = options.timeout,
  };
  VMSILO_ASSIGN_OR_RETURN(supervision.command,
                          options.is_machine
                              ? PrepareMachine(options, directory)
                              : PrepareContainer(options, directory, job));
  if (options.is_verbose) {
    supervision.on_up = [](absl::Duration boot_time) {
      std::cerr << "lab: up after "
                << absl::FormatDuration(
                       absl::Trunc(boot_time, absl::Milliseconds(100)))
                << std::endl;
    };
  }
  absl::StatusOr<int> result = Supervise(supervision);
  if (!result.ok()) ShowConsole(supervision.console);
  return result;
}

}  // namespace
}  // namespace vmsilo::lab

int main(int argc, char** argv) {
  const absl::StatusOr<vmsilo::lab::Options> options =
      vmsilo::lab::ParseOptions(argc, argv);
  if (!options.ok()) {
    std::cerr << "lab: " << options.status().message() << std::endl;
    return vmsilo::kExitUsage;
  }
  const absl::StatusOr<int> result = vmsilo::lab::Run(*options);
  if (!result.ok()) {
    std::cerr << "lab: " << result.status().message() << std::endl;
    return vmsilo::ExitCodeFor(result.status());
  }
  return *result;
}
