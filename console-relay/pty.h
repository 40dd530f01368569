#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"
#include "console/message.h"

namespace vmsilo::console_relay {

// A pseudo-terminal that never hangs up. It is a transparent line: raw, without
// echo, and so again whenever the last user has left it.
//
// The relay keeps the user's side ("slave") open, so that neither side ever
// gets EIO, and learns from inotify when somebody opens and closes it. A
// successor cannot open that side while a user claims it (TIOCEXCL), and does
// without until that user has left. (It cannot be left to a successor: as long
// as anybody keeps it, the master does not tell whether it has users.)
class Pty {
 public:
  struct Access {
    std::optional<uid_t> owner;  // ours if not given
    mode_t mode = 0600;
  };

  static absl::StatusOr<Pty> Create(const Access& access);

  // One whose master an earlier process left, and perhaps its node(); users
  // may have it open. InvalidArgument if `master` is none; FailedPrecondition
  // if its last user left it exclusive.
  static absl::StatusOr<Pty> Adopt(UniqueFd master, UniqueFd node,
                                   const Access& access);

  // Non-blocking, borrowed.
  int master() const { return master_.get(); }
  // Such as "/dev/pts/7".
  const std::string& name() const { return name_; }

  // The file of the user's side, not open (O_PATH): with it a successor opens
  // that side, wherever the master comes from. Borrowed.
  int node() const { return node_.get(); }
  // Leads to that file in every mount namespace, as long as this lives.
  std::string node_path() const;

  // Readable when users may have come or gone.
  int watch_fd() const { return inotify_.get(); }

  struct Change {
    // The last user left, if but for a moment: what was not read is stale.
    bool was_left = false;
    // Somebody has come to a terminal that nobody had open.
    bool was_entered = false;
    // Some user left, so that Recount() is due when all is quiet.
    bool needs_recount = false;
  };
  absl::StatusOr<Change> ReadChanges();

  // Finds out whether anybody has the terminal open, however ReadChanges()
  // counted: the kernel makes one of two equal events that nobody has read
  // yet. To be called when nobody has come or gone just now: whoever comes at
  // this very moment may be overlooked. FailedPrecondition if the terminal is
  // of no use any more: its last user left it exclusive when we did not have it
  // open. A successor makes a new one.
  absl::StatusOr<Change> Recount();

  bool is_open() const { return users_ != 0; }

  // Throws away what was written to the terminal and not read, and makes it
  // raw again, neither stopped nor exclusive, for the next user.
  absl::Status Reset();

  absl::Status SetWindowSize(const console::WindowSize& size);

 private:
  // Users of whom only is known that they exist: they came before we did.
  static constexpr int kSomeUsers = -1;

  Pty() = default;
  absl::Status Open(const Access& access);
  // Does nothing if a user has made it exclusive.
  absl::Status OpenSlave();
  absl::Status TakeNode();
  absl::Status MakeRaw();
  // Nobody has it open, not even we.
  absl::StatusOr<bool> HasHungUp() const;
  // Finds out whether anybody has the terminal open, by leaving it ourselves
  // for a moment.
  absl::StatusOr<bool> HasUsers();
  void DiscardEvents();

  UniqueFd master_;
  UniqueFd slave_;  // invalid: a predecessor's user claims it
  UniqueFd node_;
  UniqueFd inotify_;
  std::string name_;
  int users_ = 0;
};

// A symbolic link to a terminal, at a path that people know. Gone with the
// object, unless it leads elsewhere by then.
class PtyLink {
 public:
  // Puts the link in the place of another one at once; FailedPrecondition if
  // there is something else. The directory is reached without following links.
  static absl::StatusOr<PtyLink> Create(const std::string& path,
                                        const std::string& target);

  PtyLink(PtyLink&&) = default;
  PtyLink& operator=(PtyLink&&) = delete;
  ~PtyLink();

 private:
  PtyLink(UniqueFd directory, std::string name, std::string target)
      : directory_(std::move(directory)),
        name_(std::move(name)),
        target_(std::move(target)) {}

  UniqueFd directory_;
  std::string name_;
  std::string target_;
};

}  // namespace vmsilo::console_relay
