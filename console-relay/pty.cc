#include "console-relay/pty.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "console/message.h"

namespace vmsilo::console_relay {
namespace {

// Devpts' names are "/dev/pts/" and a number.
constexpr size_t kMaxPtyNameBytes = 64;

// Events of the terminal's file have no name: 16 bytes each.
constexpr size_t kEventBytes = 4096;

// A link's name while it is made, next to the final one.
constexpr absl::string_view kTemporarySuffix = ".new";

// Nobody but a privileged process can open it any more.
absl::Status LockedError() {
  return absl::FailedPreconditionError(
      "the terminal's last user left it exclusive");
}

// Calls `handler` for each event that is there.
template <typename Handler>
absl::Status ForEachEvent(int inotify, Handler handler) {
  alignas(inotify_event) std::array<char, kEventBytes> buffer;
  for (;;) {
    const ssize_t size = read(inotify, buffer.data(), buffer.size());
    if (size < 0) {
      return errno == EAGAIN ? absl::OkStatus()
                             : ErrnoStatus("watch the terminal");
    }
    for (ssize_t at = 0; at < size;) {
      inotify_event event = {};
      memcpy(&event, buffer.data() + at, sizeof(event));
      handler(event.mask);
      at += static_cast<ssize_t>(sizeof(event) + event.len);
    }
  }
}

}  // namespace

absl::StatusOr<Pty> Pty::Create(const Access& access) {
  Pty pty;
  pty.master_ =
      UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!pty.master_.is_valid()) return ErrnoStatus("make a terminal");
  if (unlockpt(pty.master()) != 0) return ErrnoStatus("unlock the terminal");
  VMSILO_RETURN_IF_ERROR(pty.Open(access));
  return pty;
}

absl::StatusOr<Pty> Pty::Adopt(UniqueFd master, UniqueFd node,
                               const Access& access) {
  Pty pty;
  pty.master_ = std::move(master);
  pty.node_ = std::move(node);
  // Nobody has it open if it has hung up; a predecessor had it open before.
  VMSILO_ASSIGN_OR_RETURN(const bool has_hung_up, pty.HasHungUp());
  pty.users_ = has_hung_up ? 0 : kSomeUsers;
  VMSILO_RETURN_IF_ERROR(pty.Open(access));
  return pty;
}

absl::Status Pty::Open(const Access& access) {
  std::array<char, kMaxPtyNameBytes> name = {};
  if (const int error = ptsname_r(master(), name.data(), name.size());
      error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the descriptor is not a terminal's master: ", strerror(error)));
  }
  name_ = name.data();
  VMSILO_RETURN_IF_ERROR(OpenSlave());
  if (!node_.is_valid()) VMSILO_RETURN_IF_ERROR(TakeNode());
  if (access.owner.has_value() && *access.owner != geteuid() &&
      chown(node_path().c_str(), *access.owner, static_cast<gid_t>(-1)) != 0) {
    return ErrnoStatus(
        absl::StrCat("give the terminal to user ", *access.owner));
  }
  if (chmod(node_path().c_str(), access.mode) != 0) {
    return ErrnoStatus("set the terminal's mode");
  }
  inotify_ = UniqueFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.is_valid() ||
      inotify_add_watch(inotify_.get(), node_path().c_str(),
                        IN_OPEN | IN_CLOSE) < 0) {
    return ErrnoStatus(absl::StrCat("watch ", name_));
  }
  if (!slave_.is_valid()) {
    // Its user may have left before there was a watch.
    VMSILO_ASSIGN_OR_RETURN(const bool has_hung_up, HasHungUp());
    return has_hung_up ? LockedError() : absl::OkStatus();
  }
  // Without users there is nobody whose settings could be overwritten.
  return is_open() ? absl::OkStatus() : MakeRaw();
}

absl::StatusOr<bool> Pty::HasHungUp() const {
  pollfd poll_master = {.fd = master(), .events = POLLIN, .revents = 0};
  if (poll(&poll_master, 1, 0) < 0) return ErrnoStatus("poll the terminal");
  return (poll_master.revents & POLLHUP) != 0;
}

absl::Status Pty::OpenSlave() {
  constexpr int kFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  // By the master, which asks for no permission on the file.
  slave_ = UniqueFd(ioctl(master(), TIOCGPTPEER, kFlags));
  if (slave_.is_valid()) return absl::OkStatus();
  // A master that was opened below a /dev that is gone finds its peer no more
  // (devpts_mntget() in Linux's fs/devpts/inode.c): a predecessor's, in a unit
  // with PrivateDevices=.
  if (node_.is_valid()) slave_ = UniqueFd(open(node_path().c_str(), kFlags));
  if (slave_.is_valid() || (errno == EBUSY && node_.is_valid())) {
    return absl::OkStatus();
  }
  return ErrnoStatus("open the terminal");
}

std::string Pty::node_path() const {
  return absl::StrCat("/proc/self/fd/", node());
}

absl::Status Pty::TakeNode() {
  // Of the very file that is open: whatever /dev/pts is here, it is right.
  node_ = UniqueFd(open(absl::StrCat("/proc/self/fd/", slave_.get()).c_str(),
                        O_PATH | O_CLOEXEC));
  if (!node_.is_valid()) return ErrnoStatus("find the terminal's file");
  return absl::OkStatus();
}

absl::Status Pty::MakeRaw() {
  termios settings = {};
  if (tcgetattr(slave_.get(), &settings) != 0) {
    return ErrnoStatus("get the terminal's settings");
  }
  cfmakeraw(&settings);
  if (tcsetattr(slave_.get(), TCSANOW, &settings) != 0) {
    return ErrnoStatus("make the terminal raw");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Pty::HasUsers() {
  // A user may have made it exclusive, and then we could not come back.
  int is_exclusive = 0;
  if (slave_.is_valid() &&
      (ioctl(slave_.get(), TIOCGEXCL, &is_exclusive) != 0 ||
       ioctl(slave_.get(), TIOCNXCL) != 0)) {
    return ErrnoStatus("examine the terminal");
  }
  slave_.Reset();
  VMSILO_ASSIGN_OR_RETURN(const bool has_hung_up, HasHungUp());
  VMSILO_RETURN_IF_ERROR(OpenSlave());
  if (!slave_.is_valid()) {
    if (has_hung_up) return LockedError();
    return true;
  }
  if (!has_hung_up && is_exclusive != 0 && ioctl(slave_.get(), TIOCEXCL) != 0) {
    return ErrnoStatus("make the terminal exclusive again");
  }
  // Our own leaving and coming, which may not be taken for somebody's.
  DiscardEvents();
  // The kernel forgets a terminal's settings when nobody has it open.
  if (has_hung_up) VMSILO_RETURN_IF_ERROR(MakeRaw());
  return !has_hung_up;
}

void Pty::DiscardEvents() {
  // A queue that cannot be read now is reported when it is read next.
  (void)ForEachEvent(inotify_.get(), [](uint32_t) {});
}

absl::StatusOr<Pty::Change> Pty::ReadChanges() {
  Change change;
  bool has_closed = false;
  bool is_uncertain = false;
  VMSILO_RETURN_IF_ERROR(ForEachEvent(inotify_.get(), [&](uint32_t mask) {
    if ((mask & IN_CLOSE) != 0) has_closed = true;
    if ((mask & IN_Q_OVERFLOW) != 0) {
      is_uncertain = true;
    } else if (users_ == kSomeUsers) {
      if ((mask & IN_CLOSE) != 0) is_uncertain = true;
    } else if ((mask & IN_OPEN) != 0) {
      if (users_ == 0) change.was_entered = true;
      ++users_;
    } else if ((mask & IN_CLOSE) != 0 && users_ > 0) {
      --users_;
      if (users_ == 0) change = {.was_left = true, .was_entered = false};
    }
  }));
  if (is_uncertain) {
    VMSILO_ASSIGN_OR_RETURN(const Change counted, Recount());
    if (is_open()) users_ = kSomeUsers;
    if (counted.was_left) change = counted;
    if (counted.was_entered) change.was_entered = true;
  }
  change.needs_recount = has_closed;
  return change;
}

absl::StatusOr<Pty::Change> Pty::Recount() {
  VMSILO_ASSIGN_OR_RETURN(const bool has_users, HasUsers());
  if (has_users == is_open()) return Change();
  users_ = has_users ? kSomeUsers : 0;
  return Change{.was_left = !has_users, .was_entered = has_users};
}

absl::Status Pty::Reset() {
  // What waits on its way to the user's side, and what waits there.
  if (tcflush(master(), TCOFLUSH) != 0 ||
      tcflush(slave_.get(), TCIFLUSH) != 0) {
    return ErrnoStatus("empty the terminal");
  }
  // A user may have claimed it, as screen(1) does, or stopped it.
  if (ioctl(slave_.get(), TIOCNXCL) != 0 || tcflow(slave_.get(), TCOON) != 0) {
    return ErrnoStatus("free the terminal");
  }
  return MakeRaw();
}

absl::Status Pty::SetWindowSize(const console::WindowSize& size) {
  winsize window = {};
  window.ws_row = size.rows;
  window.ws_col = size.columns;
  if (ioctl(master(), TIOCSWINSZ, &window) != 0) {
    return ErrnoStatus("set the terminal's size");
  }
  return absl::OkStatus();
}

absl::StatusOr<PtyLink> PtyLink::Create(const std::string& path,
                                        const std::string& target) {
  auto [directory_path, name] = SplitPath(path);
  if (name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(path), " is a directory, not a path for a link"));
  }
  VMSILO_ASSIGN_OR_RETURN(UniqueFd directory,
                          OpenNoSymlinks(directory_path, O_PATH | O_DIRECTORY));
  struct stat info = {};
  if (fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISLNK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(path), " exists and is not a symbolic link"));
  }
  const std::string temporary = absl::StrCat(name, kTemporarySuffix);
  if (unlinkat(directory.get(), temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove ", Quoted(temporary)));
  }
  if (symlinkat(target.c_str(), directory.get(), temporary.c_str()) != 0 ||
      renameat(directory.get(), temporary.c_str(), directory.get(),
               name.c_str()) != 0) {
    return ErrnoStatus(absl::StrCat("make the link ", Quoted(path)));
  }
  return PtyLink(std::move(directory), std::move(name), target);
}

PtyLink::~PtyLink() {
  if (!directory_.is_valid()) return;
  std::array<char, PATH_MAX> target = {};
  const ssize_t size =
      readlinkat(directory_.get(), name_.c_str(), target.data(), target.size());
  if (size < 0 || absl::string_view(target.data(), size) != target_) return;
  // Somebody else may have removed it.
  (void)unlinkat(directory_.get(), name_.c_str(), 0);
}

}  // namespace vmsilo::console_relay
