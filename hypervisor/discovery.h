#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "config/config.h"

namespace vmsilo::hypervisor {

// Silos that are watched at most: several times what a desktop's memory runs.
inline constexpr size_t kMaxSilos = 256;

// Entries of the root directory that are looked at, a bound for the time that
// takes. Only root can make some.
inline constexpr size_t kMaxRootEntries = 1024;

// How long events gather after one was handled: what a silo's user does in a
// directory of its own wakes us at most so often.
inline constexpr absl::Duration kEventPause = absl::Milliseconds(10);

// Finds files of running silos: ROOT/NAME/FILE for all silos NAME, and tells
// when they come, go and are replaced.
//
// The directories are the truth; inotify only says where to look. A silo's
// user can write to some of them, so no symbolic link is followed, and nothing
// there is listed: only the names that are wanted are looked at. ROOT may come
// later, and come again; the directory above it must exist.
class Discovery {
 public:
  enum class Change { kAppeared, kReplaced, kVanished };

  struct File {
    std::string silo;
    std::string name;  // FILE, as it was asked for
    std::string path;
  };

  // Called from the event loop, for each file that is there at the beginning
  // too, and never twice for one. A regular file that was written to counts as
  // replaced. A silo that was replaced whole vanishes and appears. May destroy
  // the Discovery.
  using Handler = std::function<void(const File&, Change)>;

  // `names`: the files that are wanted, sockets or regular ones, in the silo's
  // directory or in one in there ("vm/a.socket").
  static absl::StatusOr<std::unique_ptr<Discovery>> Create(
      EventLoop* loop, std::string root, std::vector<std::string> names,
      Handler handler);
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  // Looks at everything, in case an event was lost.
  void Rescan();

  // Why not everything is seen at once, if so: more silos than are watched, or
  // no further watches from the kernel. It goes on with what it can have, and
  // looks again every few seconds.
  const absl::Status& status() const { return status_; }

 private:
  // What a file or directory is told from its successor by. Not every file
  // system numbers them anew.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    int64_t modified = 0;  // of files, in nanoseconds

    friend bool operator==(const Identity&, const Identity&) = default;
  };
  struct Directory {
    int watch = -1;
    Identity identity;
  };
  struct Silo {
    Directory own;
    std::map<std::string, Directory> children;
    std::map<std::string, Identity> files;
  };
  // What a watch is for.
  struct Watched {
    enum class Kind { kAbove, kRoot, kSilo, kChild };
    Kind kind;
    std::string silo;
    std::string child;
    Directory* owner = nullptr;
  };
  struct News {
    File file;
    Change change;
  };

  Discovery(EventLoop* loop, std::string root, std::vector<std::string> names,
            Handler handler);

  absl::Status Start();
  void OnReadable();
  void OnEvent(int watch, uint32_t mask, absl::string_view name);
  void LookAtAllAfter(absl::Duration time);
  void Look();
  void LookAtAll();
  void OpenRoot();
  void LookAtSilo(const std::string& name);
  // Watches the directory behind `fd` for `what.owner`; false if it is another
  // than it was.
  bool Follow(int fd, Watched what);
  void Forget(Directory* directory);
  void DropSilo(const std::string& name);
  void Tell(const std::string& silo, const std::string& name, Change change);
  // Adds the names of what may be silos.
  absl::Status ListRoot(std::set<std::string>* names);
  void Degrade(const absl::Status& why);

  EventLoop* loop_;
  const std::string root_;
  const std::vector<std::string> names_;
  Handler handler_;
  UniqueFd inotify_;
  UniqueFd root_fd_;  // while we look
  Directory above_;
  Directory root_directory_;
  std::map<std::string, Silo> silos_;
  std::map<int, Watched> watches_;
  bool is_all_dirty_ = false;
  std::set<std::string> dirty_;
  std::vector<News> news_;
  absl::Status status_;
  // Gone when `this` is.
  std::shared_ptr<char> life_ = std::make_shared<char>();
  Source io_source_;
  Source pause_source_;
  Source look_source_;
};

// Where silos' balloons are reached, as Discovery names files.
struct BalloonSocket {
  std::string name;
  config::Hypervisor hypervisor;
};
std::vector<BalloonSocket> BalloonSockets();

}  // namespace vmsilo::hypervisor
