#include "common/main.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/epoll_event_loop.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/options.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "proxy/sandbox.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "vsock/address.h"
#include "vsock/connect.h"

namespace vmsilo::proxy {
namespace {

struct Options {
  std::string address;
  std::string listen;
  std::string source_port = "privileged";
  absl::Duration wait = absl::Seconds(60);
};

absl::Status Usage(absl::string_view message) {
  return WithExitCode(absl::InvalidArgumentError(message), kExitUsage);
}

// The exit codes that this program promises.
absl::Status WithProxyExitCode(absl::Status status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return WithExitCode(std::move(status), kExitUnavailable);
    case absl::StatusCode::kUnavailable:
      return WithExitCode(std::move(status), kExitTryLater);
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInvalidArgument:  // no hybrid vsock socket
      return WithExitCode(std::move(status), kExitProtocol);
    default:
      return status;
  }
}

absl::StatusOr<UniqueFd> TakeClient() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      type != SOCK_STREAM) {
    return Usage(
        "standard input is not a stream socket; a terminal or a pipe cannot be "
        "relayed (use --listen)");
  }
  UniqueFd client(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!client.is_valid()) return ErrnoStatus("take standard input");
  const int flags = fcntl(client.get(), F_GETFL);
  if (flags < 0 || fcntl(client.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus("make standard input non-blocking");
  }
  // The client must see the end of the connection when we close it.
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_valid()) return ErrnoStatus("open /dev/null");
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
    if (dup2(null.get(), fd) < 0) return ErrnoStatus("replace a descriptor");
  }
  return client;
}

// Standard error is the client's socket where a unit does not say otherwise
// (StandardError= follows StandardOutput=). A message there would be taken for
// the guest's bytes.
absl::Status KeepLogOffSocket() {
  struct stat in = {};
  struct stat err = {};
  if (fstat(STDIN_FILENO, &in) != 0 || fstat(STDERR_FILENO, &err) != 0) {
    return ErrnoStatus("look at standard error");
  }
  if (in.st_dev != err.st_dev || in.st_ino != err.st_ino) {
    return absl::OkStatus();
  }
  UniqueFd log(sd_journal_stream_fd("vmsilo-proxy", LOG_INFO,
                                    /*level_prefix=*/1));
  const bool is_journal = log.is_valid();
  if (!is_journal) log = UniqueFd(open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (dup2(log.get(), STDERR_FILENO) < 0) {
    return ErrnoStatus("replace standard error");
  }
  if (is_journal && fstat(STDERR_FILENO, &err) == 0) {
    const std::string stream = absl::StrCat(err.st_dev, ":", err.st_ino);
    if (setenv("JOURNAL_STREAM", stream.c_str(), /*overwrite=*/1) == 0) {
      InitLog("vmsilo-proxy");
    }
  }
  return absl::OkStatus();
}

absl::Status RunOne(EventLoop* loop, const Target& target) {
  VMSILO_RETURN_IF_ERROR(KeepLogOffSocket());
  VMSILO_ASSIGN_OR_RETURN(UniqueFd client, TakeClient());
  VMSILO_RETURN_IF_ERROR(ConfineToConnecting(/*listen_path=*/""));
  absl::Status result;
  VMSILO_ASSIGN_OR_RETURN(
      const std::unique_ptr<Session> session,
      Session::Start(loop, std::move(client), target, ConfineToRelaying,
                     [&result, loop](absl::Status status) {
                       result = std::move(status);
                       loop->Quit();
                     }));
  VMSILO_RETURN_IF_ERROR(loop->Run());
  return WithProxyExitCode(std::move(result));
}

absl::Status RunServer(EventLoop* loop, const std::string& path,
                       const Target& target) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd listener, ListenUnix(path, 0600));
  const absl::Cleanup remove = [&path] {
    // Somebody else may have removed it.
    (void)unlink(path.c_str());
  };
  Server server(loop, std::move(listener), target);
  VMSILO_RETURN_IF_ERROR(server.Start());
  // Clients are served from here on.
  VMSILO_RETURN_IF_ERROR(ConfineToConnecting(path));
  return loop->Run(NotifyReady);
}

absl::Status Run(const Options& options) {
  if (options.address.empty()) {
    return Usage("no --address; expected vsock:CID:PORT or unix:PATH:PORT");
  }
  absl::StatusOr<vsock::Address> address = vsock::ParseAddress(options.address);
  if (!address.ok()) return WithExitCode(address.status(), kExitUsage);
  const Target target = {.address = *std::move(address),
                         .source_port = options.source_port == "any"
                                            ? vsock::SourcePort::kAny
                                            : vsock::SourcePort::kPrivileged,
                         .wait = options.wait};
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop,
                          EpollEventLoop::Create());
  if (options.listen.empty()) return RunOne(loop.get(), target);
  return RunServer(loop.get(), options.listen, target);
}

Program MakeProgram(Options* options) {
  return {
      .name = "vmsilo-proxy",
      .man_section = 8,
      .summary = "Carry a connection to a port of a silo's virtual machine",
      .description =
          "Connects to a port of a guest and passes bytes between it and the "
          "stream socket on standard input, both ways, each end on its own, "
          "until both have ended. systemd starts one for each connection to "
          "a silo's command socket; vmsilo-unitgen(1) writes the units.\n\n"
          "A guest that boots is waited for: attempts begin 10 ms apart and "
          "go on four times a second. When the time is over, the client gets "
          "one ERROR frame of the command protocol that says why, and the "
          "exit status tells the cases apart.\n\n"
          "No byte is looked at, so that guests may speak a newer protocol "
          "than the host knows. Memory is bounded by 256 KiB in "
          "each direction, and without traffic the program sleeps.",
      .options =
          {
              StringOption("address", "ADDRESS",
                           "Where to connect to: vsock:CID:PORT, or "
                           "unix:PATH:PORT for the socket of a virtual "
                           "machine monitor that is asked for a port "
                           "(Cloud Hypervisor, vhost-device-vsock)",
                           &options->address),
              DurationOption("wait",
                             "How long to wait for the guest to answer; 60s "
                             "if not given",
                             &options->wait),
              StringOption("listen", "PATH",
                           "Take connections on a socket at PATH, open to "
                           "this user only, instead of standard input",
                           &options->listen, Completion::kFile),
              ChoiceOption("source-port", "KIND",
                           "Which vsock port to connect from: guests take "
                           "privileged ones only, below 1024, unless they "
                           "are told otherwise",
                           {"privileged", "any"}, &options->source_port),
          },
      .main = {.run = [options](const Operands&) { return Run(*options); }},
      .examples =
          {
              {"vmsilo-proxy --address vsock:3:5000 --listen /tmp/work.socket",
               "Serve connections to the agent of the guest with CID 3"},
              {"vmsilo-proxy --address unix:/run/vm/vsock.socket:5000 "
               "--wait 10s",
               "Carry the connection on standard input to a guest of Cloud "
               "Hypervisor"},
          },
      .man_sections =
          {
              {"EXIT STATUS",
               "0: the connection was carried to its end, or the client "
               "left.\n\n"
               "64: wrong usage.\n\n"
               "69: there is no such virtual machine, or it does not run.\n\n"
               "75: the virtual machine runs, its agent does not answer.\n\n"
               "76: the guest's side broke off, or does not speak the "
               "protocol of hybrid vsock sockets.\n\n"
               "77: not permitted; for vsock, CAP_NET_BIND_SERVICE is needed."},
              {"SECURITY",
               "A system call filter is armed before the guest is reached, "
               "and a narrower one before the first byte is passed on: no "
               "files, no new sockets, no capabilities. Messages go to the "
               "journal, never to the client, even where a unit gives the "
               "client's socket for standard error."},
          },
      .see_also = {"vmsilo(1)", "vmsilo-agent(8)", "vmsilo-unitgen(1)"},
  };
}

}  // namespace
}  // namespace vmsilo::proxy

int main(int argc, char** argv) {
  vmsilo::proxy::Options options;
  return vmsilo::Main(argc, argv, vmsilo::proxy::MakeProgram(&options));
}
