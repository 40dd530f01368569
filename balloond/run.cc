#include "balloond/run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/daemon.h"
#include "balloond/fleet.h"
#include "balloond/host.h"
#include "balloond/pressure_trigger.h"
#include "balloond/program.h"
#include "balloond/sandbox.h"
#include "balloond/settings.h"
#include "common/clock.h"
#include "common/epoll_event_loop.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/socket.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "config/layout.h"
#include "hypervisor/discovery.h"
#include "hypervisor/make_client.h"

namespace vmsilo::balloond {
namespace {

constexpr char kProc[] = "/proc";
constexpr char kPressure[] = "/proc/pressure/memory";

// By then every silo that runs has been found: those of which a predecessor
// kept something, and which are not there, have ended in between.
constexpr absl::Duration kScanned = absl::Seconds(5);

// The directory of the daemon's own files. systemd makes it for the unit.
absl::Status MakeStateDir(const std::string& run_dir) {
  const std::string path = StateDir(run_dir);
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  if (errno == ENOENT) {
    return absl::NotFoundError(
        absl::StrCat("the directory ", Quoted(run_dir),
                     " is not there; silos' units make it, and --run-dir "
                     "names another one"));
  }
  return ErrnoStatus(absl::StrCat("make the directory ", Quoted(path)));
}

// Two daemons would each undo what the other does.
absl::StatusOr<UniqueFd> TakeLock(const std::string& run_dir) {
  const std::string path = absl::StrCat(StateDir(run_dir), "/lock");
  VMSILO_ASSIGN_OR_RETURN(UniqueFd lock,
                          Open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return ErrnoStatus(absl::StrCat("lock ", path));
  return WithExitCode(
      absl::UnavailableError(absl::StrCat(
          "another vmsilo-balloond serves ", Quoted(run_dir),
          "; 'systemctl stop vmsilo-balloond' ends the one of the system")),
      kExitTryLater);
}

absl::StatusOr<UniqueFd> Listen(const std::string& path,
                                const std::optional<uid_t>& owner) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd listener, ListenUnix(path, 0600));
  if (owner && *owner != geteuid() &&
      lchown(path.c_str(), *owner, static_cast<gid_t>(-1)) != 0) {
    const absl::Status status =
        ErrnoStatus(absl::StrCat("give ", Quoted(path), " to user ", *owner));
    (void)unlink(path.c_str());
    return status;
  }
  return listener;
}

std::optional<PressureTrigger> OpenTrigger(const Host& host, double ceiling) {
  if (ceiling <= 0) return std::nullopt;
  if (!host.pressure_status().ok()) {
    LOG(WARNING) << "the kernel does not tell of memory pressure: "
                 << host.pressure_status().message()
                 << "; booting it with psi=1 may help";
    return std::nullopt;
  }
  absl::StatusOr<PressureTrigger> trigger =
      PressureTrigger::Open(ceiling, [](const std::string& text) {
        return PressureTrigger::ArmFile(kPressure, text);
      });
  if (trigger.ok()) return *std::move(trigger);
  LOG(INFO) << "looking at memory pressure in each round only: "
            << trigger.status().message();
  return std::nullopt;
}

// Finds silos' sockets and files below `run_dir`.
absl::StatusOr<std::unique_ptr<hypervisor::Discovery>> Discover(
    EventLoop* loop, const std::string& run_dir, Fleet* fleet) {
  const std::vector<hypervisor::BalloonSocket> sockets =
      hypervisor::BalloonSockets();
  std::vector<std::string> names = {std::string(layout::kBalloonFileName)};
  for (const hypervisor::BalloonSocket& socket : sockets) {
    names.push_back(socket.name);
  }
  return hypervisor::Discovery::Create(
      loop, run_dir, std::move(names),
      [sockets, fleet](const hypervisor::Discovery::File& file,
                       hypervisor::Discovery::Change change) {
        if (file.name == layout::kBalloonFileName) {
          return fleet->OnFile(file.silo);
        }
        if (change == hypervisor::Discovery::Change::kVanished) {
          return fleet->OnSocketGone(file.silo, file.path);
        }
        for (const hypervisor::BalloonSocket& socket : sockets) {
          if (socket.name != file.name) continue;
          fleet->OnSocket({.name = file.silo,
                           .hypervisor = socket.hypervisor,
                           .socket = file.path});
        }
      });
}

}  // namespace

absl::Status Run(const Options& options,
                 const MakeController& make_controller) {
  VMSILO_ASSIGN_OR_RETURN(const Settings settings, Check(options));
  VMSILO_RETURN_IF_ERROR(MakeStateDir(options.run_dir));
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd lock, TakeLock(options.run_dir));
  VMSILO_ASSIGN_OR_RETURN(Host host, Host::Open(kProc));
  std::optional<PressureTrigger> trigger =
      OpenTrigger(host, settings.psi_ceiling);
  const std::string state_dir = StateDir(options.run_dir);
  const std::string socket = ControlSocketPath(options.run_dir);
  VMSILO_ASSIGN_OR_RETURN(UniqueFd listener, Listen(socket, options.owner));
  const absl::Cleanup remove_socket = [&socket] {
    // Somebody else may have removed it.
    (void)unlink(socket.c_str());
  };

  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop,
                          EpollEventLoop::Create());
  const MonotonicClock clock;
  Daemon daemon(
      loop.get(), &clock,
      {.policy = options.policy,
       .critical_host_percent = settings.critical_host_percent,
       .is_dry_run = options.dry_run,
       .metrics_file = options.metrics_file,
       .is_once = options.once},
      {.controller = make_controller(settings),
       .host = std::move(host),
       .trigger = std::move(trigger),
       .listener = std::move(listener),
       .owner = options.owner,
       .run_dir = options.run_dir,
       .wishes = absl::StrCat(state_dir, "/wishes.json"),
       .roots = {},
       .make_client = [&loop, &clock](const Found& found,
                                      std::optional<std::string> unit,
                                      std::function<void(pid_t)> on_peer) {
         return hypervisor::MakeBalloonClient(
             loop.get(), &clock, found.hypervisor, found.socket,
             std::move(unit), std::move(on_peer));
       }});
  // Before the first round, which would find nobody.
  VMSILO_ASSIGN_OR_RETURN(
      const std::unique_ptr<hypervisor::Discovery> discovery,
      Discover(loop.get(), options.run_dir, &daemon.fleet()));
  daemon.Watch(discovery.get());
  LockMemory();
  VMSILO_RETURN_IF_ERROR(Confine(
      {.run_dir = options.run_dir,
       .state_dir = state_dir,
       .metrics_dir = options.metrics_file.empty()
                          ? ""
                          : SplitPath(options.metrics_file).directory}));

  VMSILO_RETURN_IF_ERROR(daemon.Start());
  VMSILO_ASSIGN_OR_RETURN(const Source scanned,
                          loop->AddTimer(kScanned, [&daemon] {
                            daemon.fleet().OnScanned();
                            return absl::OkStatus();
                          }));
  return loop->Run([] { NotifyReady(); });
}

}  // namespace vmsilo::balloond
