#include "common/main.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/agent.h"
#include "agent/connection.h"
#include "agent/host_options.h"
#include "agent/users.h"
#include "common/clock.h"
#include "common/epoll_event_loop.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/options.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "vsock/connect.h"
#include "vsock/listen.h"
#include "vsock/ports.h"

namespace vmsilo::agent {
namespace {

// A kernel takes 2 KiB of command line on x86, and up to 64 KiB elsewhere.
constexpr size_t kMaxKernelCommandLine = size_t{64} * 1024;

// Six descriptors for each of the default's commands, and some.
constexpr rlim_t kWantedFiles = 4096;

struct Options {
  uint32_t port = vsock::kCommandPort;
  std::string listen;
  std::string user;
  uint32_t peer_cid = vsock::kHostCid;
  std::string source_port = "auto";
  std::vector<std::string> environment;
  std::string detached_output = "auto";
  size_t max_commands = kDefaultMaxCommands;
};

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

absl::StatusOr<User> LookUpUser(const std::string& name) {
  absl::StatusOr<std::string> passwd =
      ReadFile("/etc/passwd", kMaxDatabaseBytes);
  if (!passwd.ok()) return passwd.status();
  // A guest of one program may do without groups.
  const absl::StatusOr<std::string> group =
      ReadFile("/etc/group", kMaxDatabaseBytes);
  if (!name.empty()) return FindUser(*passwd, group.value_or(""), name);
  return FindUser(*passwd, group.value_or(""), geteuid());
}

std::string RuntimeDirectory(const User& user) {
  std::string path = absl::StrCat("/run/user/", user.uid);
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) ||
      info.st_uid != user.uid) {
    path.clear();
  }
  return path;
}

absl::StatusOr<vsock::SourcePort> ChooseSourcePort(const std::string& option) {
  if (option == "any") return vsock::SourcePort::kAny;
  if (option == "privileged") return vsock::SourcePort::kPrivileged;
  const absl::StatusOr<std::string> words =
      ReadFile("/proc/cmdline", kMaxKernelCommandLine);
  return words.ok() && IsHybridVsock(*words) ? vsock::SourcePort::kAny
                                             : vsock::SourcePort::kPrivileged;
}

// Over a Unix socket the file's mode lets nobody else in; this holds when
// somebody changed it.
absl::Status CheckUnixPeer(int socket) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoStatus("ask for a peer's user");
  }
  if (peer.uid != 0 && peer.uid != geteuid()) {
    return absl::PermissionDeniedError(
        absl::StrCat("uid ", peer.uid, " may not ask"));
  }
  return absl::OkStatus();
}

absl::StatusOr<rlimit> RaiseFileLimit() {
  rlimit before = {};
  if (getrlimit(RLIMIT_NOFILE, &before) != 0) {
    return ErrnoStatus("ask for the limit of open files");
  }
  rlimit wanted = before;
  wanted.rlim_cur =
      std::max(before.rlim_cur, std::min(before.rlim_max, kWantedFiles));
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    return ErrnoStatus("raise the limit of open files");
  }
  return before;  // for the commands
}

// READY=1 of man 3 sd_notify; libsystemd cannot be linked statically.
void NotifyReady() {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path == nullptr || (path[0] != '/' && path[0] != '@') ||
      strlen(path) >= sizeof(address.sun_path)) {
    return;
  }
  memcpy(address.sun_path, path, strlen(path));
  if (path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr absl::string_view kReady("READY=1");
  // Without a service manager that listens there is nobody to tell.
  (void)sendto(
      fd.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
      reinterpret_cast<const sockaddr*>(&address),
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path)));
  unsetenv("NOTIFY_SOCKET");
}

absl::Status Run(const Options& options) {
  if (options.user.empty() && geteuid() == 0) {
    return Usage(
        "no --user: name the user that commands run as (root, if that is "
        "meant)");
  }
  for (const std::string& setting : options.environment) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Usage(
          absl::StrCat("--env ", Quoted(setting), " is not NAME=VALUE"));
    }
  }
  // A wrong name shows now, not at the first command.
  VMSILO_RETURN_IF_ERROR(LookUpUser(options.user).status());

  UniqueFd listener;
  PeerCheck peer_check;
  std::string socket_file;
  const absl::Cleanup remove = [&socket_file] {
    // Somebody else may have removed it.
    if (!socket_file.empty()) (void)unlink(socket_file.c_str());
  };
  if (options.listen.empty()) {
    VMSILO_ASSIGN_OR_RETURN(const vsock::SourcePort source_port,
                            ChooseSourcePort(options.source_port));
    VMSILO_ASSIGN_OR_RETURN(listener, vsock::Listen(options.port));
    peer_check = [cid = options.peer_cid, source_port](int socket) {
      return vsock::CheckPeer(socket, cid, source_port);
    };
  } else {
    absl::string_view path = options.listen;
    if (!absl::ConsumePrefix(&path, "unix:")) {
      return Usage(
          absl::StrCat("--listen ", Quoted(path), " is not unix:PATH"));
    }
    VMSILO_ASSIGN_OR_RETURN(listener, ListenUnix(std::string(path), 0600));
    socket_file = std::string(path);
    peer_check = CheckUnixPeer;
  }

  VMSILO_ASSIGN_OR_RETURN(const rlimit files, RaiseFileLimit());
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop,
                          EpollEventLoop::Create());
  const bool inherits =
      options.detached_output == "inherit" ||
      (options.detached_output == "auto" && getenv("JOURNAL_STREAM"));
  const MonotonicClock clock;
  Agent agent(
      loop.get(), &clock, std::move(listener), std::move(peer_check),
      Settings{.user = [name = options.user] { return LookUpUser(name); },
               .runtime_directory = RuntimeDirectory,
               .environment = options.environment,
               .detached_streams = inherits ? Streams::kDetachedInherit
                                            : Streams::kDetachedQuiet,
               .files = files},
      options.max_commands);
  VMSILO_RETURN_IF_ERROR(agent.Start());
  return loop->Run(NotifyReady);
}

Program MakeProgram(Options* options) {
  return {
      .name = "vmsilo-agent",
      .man_section = 8,
      .summary = "Run commands in a guest for its host",
      .description =
          "Runs in a silo's virtual machine and starts the commands that "
          "`vmsilo run` asks for on the host: with pipes or on a terminal, "
          "attached to their client or detached, as one user, with a clean "
          "environment. It passes on input, output, window sizes and "
          "signals, and reports how a command ended.\n\n"
          "It is a static program without any configuration file: a service "
          "of systemd (Type=notify) or a plain process of a busybox init. "
          "Users and groups come from /etc/passwd and /etc/group.\n\n"
          "An attached command whose client is gone gets SIGHUP, and SIGKILL "
          "five seconds later. A detached one is on its own.",
      .options =
          {
              StringOption("user", "NAME",
                           "Run commands as NAME; must be given when the "
                           "agent runs as root, and is the agent's own user "
                           "otherwise",
                           &options->user),
              NumberOption<uint32_t>("port", "PORT",
                                     "Listen on the vsock port PORT; 5000 if "
                                     "not given",
                                     &options->port, 1, 4294967294u),
              NumberOption<uint32_t>("peer-cid", "CID",
                                     "Take connections from CID only; 2, the "
                                     "host, if not given (1 is this machine "
                                     "itself, for tests)",
                                     &options->peer_cid, 1, 4294967294u),
              ChoiceOption("source-port", "KIND",
                           "Which ports the host may connect from: privileged "
                           "ones, below 1024, or any, as with the hybrid "
                           "sockets of Cloud Hypervisor; auto is any if the "
                           "kernel's command line has vmsilo.vsock=hybrid",
                           {"auto", "privileged", "any"},
                           &options->source_port),
              StringOption("listen", "unix:PATH",
                           "Listen on a Unix socket, open to this user only, "
                           "instead of a vsock port",
                           &options->listen, Completion::kFile),
              ListOption("env", "NAME=VALUE",
                         "Add to the environment of every command",
                         &options->environment),
              ChoiceOption("detached-output", "WHERE",
                           "Where the output of detached commands goes: where "
                           "the agent's own messages go, or /dev/null; auto "
                           "is the former if that is the journal",
                           {"auto", "inherit", "null"},
                           &options->detached_output),
              NumberOption<size_t>("max-commands", "N",
                                   "Run at most N attached commands at the "
                                   "same time; 256 if not given",
                                   &options->max_commands, 1, 10000),
          },
      .main = {.run = [options](const Operands&) { return Run(*options); }},
      .examples =
          {
              {"vmsilo-agent --user alice", "Serve the host, as alice"},
              {"vmsilo-agent --user alice --env WAYLAND_DISPLAY=wayland-0",
               "The same, with a display for every command"},
              {"vmsilo-agent --listen unix:/tmp/agent.socket",
               "Try it without a virtual machine, as oneself"},
          },
      .man_sections =
          {
              {"ENVIRONMENT OF COMMANDS",
               "HOME, LOGNAME, SHELL and USER as the user database says; "
               "PATH; XDG_RUNTIME_DIR if /run/user/UID is there and the "
               "user's; what --env adds; then what the host sends: TERM, "
               "COLORTERM, LANG and LC_*. Nothing of the agent's own."},
              {"SECURITY",
               "Connections come from CID 2 with a source port below 1024, "
               "or are refused: any user of the host can connect to a guest, "
               "but only its services have such a port. The agent confines "
               "neither itself nor the commands with a system call filter or "
               "no_new_privs: commands inherit both, and are meant to be able "
               "to do what their user can, sudo included."},
              {"FILES", "/etc/passwd, /etc/group, /run/user/UID"},
          },
      .see_also = {"vmsilo(1)", "vmsilo-proxy(8)"},
  };
}

}  // namespace
}  // namespace vmsilo::agent

int main(int argc, char** argv) {
  vmsilo::agent::Options options;
  return vmsilo::Main(argc, argv, vmsilo::agent::MakeProgram(&options));
}
