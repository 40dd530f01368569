#include "common/main.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/acceptor.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/epoll_event_loop.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/socket.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "console-relay/backend_connector.h"
#include "console-relay/input.h"
#include "console-relay/log_file.h"
#include "console-relay/program.h"
#include "console-relay/pty.h"
#include "console-relay/relay.h"
#include "console-relay/ring.h"
#include "console-relay/sandbox.h"

namespace vmsilo::console_relay {
namespace {

// The names of descriptors: those of socket units, and those that the service
// manager keeps for the next process.
constexpr absl::string_view kBackendListener = "backend";
constexpr absl::string_view kViewersListener = "viewers";
constexpr absl::string_view kOwnBackendListener = "own-backend";
constexpr absl::string_view kOwnViewersListener = "own-viewers";
constexpr absl::string_view kRing = "ring";
constexpr absl::string_view kTerminal = "terminal";
constexpr absl::string_view kTerminalNode = "terminal-node";
constexpr absl::string_view kInputRead = "input-read";
constexpr absl::string_view kInputWrite = "input-write";
constexpr absl::string_view kGuest = "guest";

class Inherited {
 public:
  static absl::StatusOr<Inherited> Take() {
    VMSILO_ASSIGN_OR_RETURN(std::vector<InheritedFd> fds, TakeInheritedFds());
    Inherited inherited;
    for (InheritedFd& fd : fds) inherited.fds_[fd.name] = std::move(fd.fd);
    return inherited;
  }

  // Invalid if there is none.
  UniqueFd Take(absl::string_view name) {
    return std::move(fds_[std::string(name)]);
  }

 private:
  std::map<std::string, UniqueFd> fds_;
};

// What a predecessor left, or a new one. Something that cannot be used, such
// as what another version left, is not worth being without a console.
absl::StatusOr<Ring> MakeRing(UniqueFd fd, Bytes scrollback) {
  if (fd.is_valid()) {
    absl::StatusOr<Ring> ring = Ring::Adopt(std::move(fd));
    if (ring.ok()) return ring;
    ForgetStoredFd(kRing);
    LOG(WARNING) << ring.status().message() << ", beginning a new one";
  }
  return Ring::Create(scrollback);
}

absl::StatusOr<Pty> MakePty(UniqueFd master, UniqueFd node,
                            const Pty::Access& access) {
  if (master.is_valid()) {
    absl::StatusOr<Pty> pty =
        Pty::Adopt(std::move(master), std::move(node), access);
    if (pty.ok()) return pty;
    ForgetStoredFd(kTerminal);
    ForgetStoredFd(kTerminalNode);
    LOG(WARNING) << pty.status().message() << ", making a new one";
  }
  return Pty::Create(access);
}

absl::StatusOr<Input> MakeInput(UniqueFd read_end, UniqueFd write_end) {
  if (read_end.is_valid() && write_end.is_valid()) {
    absl::StatusOr<Input> input =
        Input::Adopt(std::move(read_end), std::move(write_end));
    if (input.ok()) return input;
    ForgetStoredFd(kInputRead);
    ForgetStoredFd(kInputWrite);
    LOG(WARNING) << input.status().message() << ", making a new one";
  }
  return Input::Create();
}

bool IsSocket(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

// One of a socket unit, or one of our own at `path`, which a predecessor may
// have left: it has never stopped listening then, and its file may belong to
// another user by now.
absl::StatusOr<UniqueFd> MakeListener(Inherited* inherited,
                                      absl::string_view name,
                                      absl::string_view own_name,
                                      const std::string& path, int type,
                                      std::vector<std::string>* created_files) {
  if (UniqueFd listener = inherited->Take(name); listener.is_valid()) {
    VMSILO_RETURN_IF_ERROR(CheckUnixSocket(listener.get(), type,
                                           /*is_listening=*/true, name));
    return listener;
  }
  created_files->push_back(path);
  if (UniqueFd listener = inherited->Take(own_name); listener.is_valid()) {
    if (IsSocket(path)) return listener;
    // It was not killed but ended in order, and took the file with it.
    ForgetStoredFd(own_name);
  }
  VMSILO_ASSIGN_OR_RETURN(UniqueFd listener, ListenUnix(path, 0600, type));
  StoreFd(listener.get(), own_name);
  return listener;
}

absl::Status RunRelay(const Options& options) {
  VMSILO_RETURN_IF_ERROR(Check(options));
  VMSILO_ASSIGN_OR_RETURN(Inherited inherited, Inherited::Take());
  std::vector<std::string> created_files;
  const absl::Cleanup remove_files = [&created_files] {
    // Somebody else may have removed them.
    for (const std::string& path : created_files) (void)unlink(path.c_str());
  };

  VMSILO_ASSIGN_OR_RETURN(Ring ring,
                          MakeRing(inherited.Take(kRing), options.scrollback));
  VMSILO_ASSIGN_OR_RETURN(
      Pty pty, MakePty(inherited.Take(kTerminal), inherited.Take(kTerminalNode),
                       options.access));
  VMSILO_ASSIGN_OR_RETURN(Input input, MakeInput(inherited.Take(kInputRead),
                                                 inherited.Take(kInputWrite)));
  std::optional<LogFile> log;
  if (!options.log.path.empty()) {
    VMSILO_ASSIGN_OR_RETURN(log, LogFile::Create(options.log));
  }
  UniqueFd viewers;
  if (!options.viewers.empty()) {
    VMSILO_ASSIGN_OR_RETURN(
        viewers, MakeListener(&inherited, kViewersListener, kOwnViewersListener,
                              options.viewers, SOCK_SEQPACKET, &created_files));
  }
  VMSILO_ASSIGN_OR_RETURN(const PtyLink link,
                          PtyLink::Create(options.pty, pty.name()));

  // What is stored already is recognised.
  StoreFd(ring.fd(), kRing);
  StoreFd(pty.master(), kTerminal);
  StoreFd(pty.node(), kTerminalNode);
  StoreFd(input.read_end(), kInputRead);
  StoreFd(input.write_end(), kInputWrite);

  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop,
                          EpollEventLoop::Create());
  const MonotonicClock clock;
  std::optional<Acceptor> listener;
  std::optional<BackendConnector> connector;
  Paths paths = {.terminal = pty.node_path(), .log = options.log.path};
  Relay relay(loop.get(), &clock,
              {.ring = std::move(ring),
               .pty = std::move(pty),
               .input = std::move(input),
               .log = std::move(log),
               .viewers_listener = std::move(viewers)},
              [&connector](int guest) {
                if (guest >= 0) {
                  StoreFd(guest, kGuest);
                  return absl::OkStatus();
                }
                ForgetStoredFd(kGuest);
                return connector.has_value() ? connector->ConnectAgain()
                                             : absl::OkStatus();
              });
  const auto on_guest = [&relay](UniqueFd guest) {
    return relay.TakeGuest(std::move(guest));
  };
  if (options.connect) {
    connector.emplace(loop.get(), options.backend, on_guest);
  } else {
    VMSILO_ASSIGN_OR_RETURN(
        UniqueFd backend,
        MakeListener(&inherited, kBackendListener, kOwnBackendListener,
                     options.backend, SOCK_STREAM, &created_files));
    listener.emplace(loop.get(), std::move(backend),
                     "the virtual machine's connection", on_guest);
    VMSILO_RETURN_IF_ERROR(listener->Start());
  }
  paths.created_files = created_files;
  paths.created_files.push_back(options.pty);
  VMSILO_RETURN_IF_ERROR(Confine(paths));

  VMSILO_RETURN_IF_ERROR(relay.Start());
  if (UniqueFd guest = inherited.Take(kGuest); guest.is_valid()) {
    VMSILO_RETURN_IF_ERROR(
        relay.TakeGuest(std::move(guest), Relay::Origin::kPredecessor));
  } else if (connector.has_value()) {
    VMSILO_RETURN_IF_ERROR(connector->Connect());
  }
  return loop->Run([&options] {
    NotifyReady();
    VLOG(1) << "ready; the terminal is " << options.pty;
  });
}

}  // namespace
}  // namespace vmsilo::console_relay

int main(int argc, char** argv) {
  vmsilo::console_relay::Options options;
  return vmsilo::Main(argc, argv,
                      vmsilo::console_relay::MakeProgram(
                          &options, vmsilo::console_relay::RunRelay));
}
