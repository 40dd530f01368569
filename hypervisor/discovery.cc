#include "hypervisor/discovery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "config/layout.h"
#include "config/text_rules.h"

namespace vmsilo::hypervisor {
namespace {

constexpr uint32_t kNames = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr uint32_t kSelf = IN_DELETE_SELF | IN_MOVE_SELF;
// Of the directory itself, whether asked for or not.
constexpr uint32_t kEnds = kSelf | IN_IGNORED | IN_UNMOUNT;

constexpr int kDirectory = O_PATH | O_DIRECTORY | O_NOFOLLOW;

// Some thousand events: what is read between two pauses.
constexpr size_t kEventBytes = 64 * 1024;

// To look again where something was amiss.
constexpr absl::Duration kRetryInterval = absl::Seconds(5);

// "/run/vmsilo/" is not above "/run/vmsilo".
std::string WithoutSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::string_view Leaf(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// The directory of "vm/a.socket"; "" for what has none.
absl::string_view Child(absl::string_view name) {
  const size_t slash = name.find('/');
  return slash == absl::string_view::npos ? "" : name.substr(0, slash);
}

// Whether an attempt to open a directory says that there is none: all but what
// the machine lacks at the moment.
bool SaysAbsent(const absl::Status& status) {
  return !absl::IsResourceExhausted(status) && !absl::IsInternal(status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Discovery>> Discovery::Create(
    EventLoop* loop, std::string root, std::vector<std::string> names,
    Handler handler) {
  std::unique_ptr<Discovery> discovery(
      new Discovery(loop, WithoutSlash(std::move(root)), std::move(names),
                    std::move(handler)));
  VMSILO_RETURN_IF_ERROR(discovery->Start());
  return discovery;
}

Discovery::Discovery(EventLoop* loop, std::string root,
                     std::vector<std::string> names, Handler handler)
    : loop_(loop),
      root_(std::move(root)),
      names_(std::move(names)),
      handler_(std::move(handler)) {}

absl::Status Discovery::Start() {
  VMSILO_RETURN_IF_ERROR(Open(Parent(root_), O_PATH | O_DIRECTORY).status());
  inotify_ = UniqueFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.is_valid()) return ErrnoStatus("watch directories");
  VMSILO_ASSIGN_OR_RETURN(
      io_source_, loop_->AddIo(inotify_.get(), EPOLLIN, [this](uint32_t) {
        OnReadable();
        return absl::OkStatus();
      }));
  VMSILO_ASSIGN_OR_RETURN(look_source_,
                          loop_->AddTimer(absl::ZeroDuration(), [this] {
                            is_all_dirty_ = true;
                            Look();
                            return absl::OkStatus();
                          }));
  VMSILO_ASSIGN_OR_RETURN(pause_source_,
                          loop_->AddTimer(absl::ZeroDuration(), [this] {
                            return io_source_.SetEvents(EPOLLIN);
                          }));
  return absl::OkStatus();
}

void Discovery::Rescan() { LookAtAllAfter(absl::ZeroDuration()); }

void Discovery::LookAtAllAfter(absl::Duration time) {
  // A failure would be a bug; whatever comes next looks, too.
  (void)look_source_.SetTimer(time);
}

void Discovery::OnReadable() {
  alignas(inotify_event) char buffer[kEventBytes];
  const ssize_t size = read(inotify_.get(), buffer, sizeof(buffer));
  for (ssize_t at = 0; at < size;) {
    inotify_event event = {};
    memcpy(&event, buffer + at, sizeof(event));
    at += static_cast<ssize_t>(sizeof(event));
    // Padded with NULs.
    OnEvent(event.wd, event.mask,
            event.len == 0 ? "" : absl::string_view(buffer + at));
    at += static_cast<ssize_t>(event.len);
  }
  if (pause_source_.SetTimer(kEventPause).ok()) {
    (void)io_source_.SetEvents(0);  // or there is no pause
  }
  if (is_all_dirty_ || !dirty_.empty()) Look();
}

void Discovery::OnEvent(int watch, uint32_t mask, absl::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) is_all_dirty_ = true;
  const auto found = watches_.find(watch);
  if (found == watches_.end()) return;
  const Watched what = found->second;
  if ((mask & IN_IGNORED) != 0) watches_.erase(found);
  const bool is_end = (mask & kEnds) != 0;
  switch (what.kind) {
    case Watched::Kind::kAbove:
      if (is_end || name == Leaf(root_)) is_all_dirty_ = true;
      return;
    case Watched::Kind::kRoot:
      if (is_end) is_all_dirty_ = true;
      if (std::string silo; config::AcceptName(name, &silo)) {
        dirty_.insert(std::string(name));
      }
      return;
    case Watched::Kind::kSilo:
    case Watched::Kind::kChild:
      break;
  }
  bool is_wanted = is_end;
  for (const std::string& wanted : names_) {
    const bool is_below = Child(wanted) == what.child;
    is_wanted |= what.child.empty()
                     ? name == Child(wanted) || (is_below && name == wanted)
                     : is_below && name == Leaf(wanted);
  }
  if (is_wanted) dirty_.insert(what.silo);
}

void Discovery::Look() {
  if (std::exchange(is_all_dirty_, false)) {
    dirty_.clear();
    status_ = absl::OkStatus();
    LookAtAll();
  } else {
    OpenRoot();
    for (const std::string& name : std::exchange(dirty_, {})) LookAtSilo(name);
  }
  root_fd_.Reset();
  const std::weak_ptr<char> life = life_;
  const Handler handler = handler_;
  for (const News& news : std::exchange(news_, {})) {
    if (life.expired()) return;
    handler(news.file, news.change);
  }
}

void Discovery::LookAtAll() {
  OpenRoot();
  std::set<std::string> names;
  for (const auto& [name, silo] : silos_) names.insert(name);
  if (root_fd_.is_valid()) {
    if (absl::Status listed = ListRoot(&names); !listed.ok()) Degrade(listed);
  }
  for (const std::string& name : names) LookAtSilo(name);
}

void Discovery::OpenRoot() {
  // Above first, so that the root cannot come unnoticed. That it goes is seen
  // there, too: it would not tell itself as long as anybody has it open.
  absl::StatusOr<UniqueFd> above = Open(Parent(root_), O_PATH | O_DIRECTORY);
  if (above.ok()) {
    Follow(above->get(), {.kind = Watched::Kind::kAbove, .owner = &above_});
  } else {
    Degrade(above.status());
  }
  absl::StatusOr<UniqueFd> root = Open(root_, O_PATH | O_DIRECTORY);
  if (root.ok()) {
    Follow(root->get(),
           {.kind = Watched::Kind::kRoot, .owner = &root_directory_});
    root_fd_ = *std::move(root);
  } else {
    if (!SaysAbsent(root.status())) Degrade(root.status());
    Forget(&root_directory_);
  }
}

absl::Status Discovery::ListRoot(std::set<std::string>* names) {
  VMSILO_ASSIGN_OR_RETURN(UniqueFd fd,
                          OpenAt(root_fd_.get(), ".", O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd.get()),
                                                      closedir);
  if (directory == nullptr) return ErrnoStatus("list silos");
  (void)fd.Release();  // closedir() closes it
  size_t count = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (++count > kMaxRootEntries) {
      return absl::ResourceExhaustedError(
          absl::StrCat(Quoted(root_), " has more than ", kMaxRootEntries,
                       " entries; some are not looked at"));
    }
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    if (std::string name; config::AcceptName(entry->d_name, &name)) {
      names->insert(entry->d_name);
    }
  }
  return absl::OkStatus();
}

void Discovery::LookAtSilo(const std::string& name) {
  absl::StatusOr<UniqueFd> fd = absl::NotFoundError("no root");
  if (root_fd_.is_valid()) fd = OpenAt(root_fd_.get(), name, kDirectory);
  if (!fd.ok()) {
    if (SaysAbsent(fd.status())) {
      DropSilo(name);
    } else {
      Degrade(fd.status());
    }
    return;
  }
  if (silos_.size() >= kMaxSilos && silos_.find(name) == silos_.end()) {
    Degrade(absl::ResourceExhaustedError(absl::StrCat(
        "more than ", kMaxSilos, " silos; some are not looked at")));
    return;
  }
  Silo& silo = silos_[name];
  if (!Follow(
          fd->get(),
          {.kind = Watched::Kind::kSilo, .silo = name, .owner = &silo.own})) {
    for (const auto& [file, identity] : std::exchange(silo.files, {})) {
      Tell(name, file, Change::kVanished);
    }
  }
  std::map<absl::string_view, UniqueFd> children;
  for (const std::string& wanted : names_) {
    const absl::string_view child = Child(wanted);
    if (child.empty() || children.count(child) != 0) continue;
    Directory& directory = silo.children[std::string(child)];
    absl::StatusOr<UniqueFd> opened =
        OpenAt(fd->get(), std::string(child), kDirectory);
    if (opened.ok()) {
      Follow(opened->get(), {.kind = Watched::Kind::kChild,
                             .silo = name,
                             .child = std::string(child),
                             .owner = &directory});
    } else {
      if (!SaysAbsent(opened.status())) Degrade(opened.status());
      Forget(&directory);
    }
    children[child] = opened.ok() ? *std::move(opened) : UniqueFd();
  }
  for (const std::string& wanted : names_) {
    const absl::string_view child = Child(wanted);
    const int parent = child.empty() ? fd->get() : children[child].get();
    struct stat info = {};
    const bool is_there = parent >= 0 &&
                          fstatat(parent, std::string(Leaf(wanted)).c_str(),
                                  &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                          (S_ISSOCK(info.st_mode) || S_ISREG(info.st_mode));
    const auto known = silo.files.find(wanted);
    if (!is_there) {
      if (known == silo.files.end()) continue;
      silo.files.erase(known);
      Tell(name, wanted, Change::kVanished);
      continue;
    }
    const Identity identity = {
        .device = info.st_dev,
        .inode = info.st_ino,
        .modified = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 +
                    info.st_mtim.tv_nsec};
    if (known == silo.files.end()) {
      silo.files.emplace(wanted, identity);
      Tell(name, wanted, Change::kAppeared);
    } else if (known->second != identity) {
      known->second = identity;
      Tell(name, wanted, Change::kReplaced);
    }
  }
}

bool Discovery::Follow(int fd, Watched what) {
  Directory* directory = what.owner;
  struct stat info = {};
  if (fstat(fd, &info) != 0) return false;
  const Identity identity = {.device = info.st_dev, .inode = info.st_ino};
  const bool is_same = identity == directory->identity;
  const auto watched = watches_.find(directory->watch);
  if (is_same && watched != watches_.end() &&
      watched->second.owner == directory) {
    return true;
  }
  Forget(directory);
  directory->identity = identity;
  const bool is_ours =
      what.kind == Watched::Kind::kSilo || what.kind == Watched::Kind::kChild;
  // By its descriptor: whatever its name leads to by now.
  directory->watch = inotify_add_watch(
      inotify_.get(), absl::StrCat("/proc/self/fd/", fd).c_str(),
      kNames | kSelf | IN_ONLYDIR | (is_ours ? IN_CLOSE_WRITE : 0u));
  if (directory->watch < 0) {
    Degrade(ErrnoStatus(errno == ENOSPC
                            ? "watch a silo (fs.inotify.max_user_watches)"
                            : "watch a silo"));
  } else {
    // If it was another's until now, it has moved here.
    watches_[directory->watch] = std::move(what);
  }
  return is_same;
}

void Discovery::Forget(Directory* directory) {
  const auto watched = watches_.find(directory->watch);
  if (watched != watches_.end() && watched->second.owner == directory) {
    // Fails if the directory has gone by itself.
    (void)inotify_rm_watch(inotify_.get(), directory->watch);
    watches_.erase(watched);
  }
  *directory = {};
}

void Discovery::DropSilo(const std::string& name) {
  const auto silo = silos_.find(name);
  if (silo == silos_.end()) return;
  for (const auto& [file, identity] : silo->second.files) {
    Tell(name, file, Change::kVanished);
  }
  Forget(&silo->second.own);
  for (auto& [child, directory] : silo->second.children) Forget(&directory);
  silos_.erase(silo);
}

void Discovery::Tell(const std::string& silo, const std::string& name,
                     Change change) {
  news_.push_back({{.silo = silo,
                    .name = name,
                    .path = absl::StrCat(root_, "/", silo, "/", name)},
                   change});
}

void Discovery::Degrade(const absl::Status& why) {
  if (!status_.ok()) return;
  status_ = why;
  LookAtAllAfter(kRetryInterval);
}

std::vector<BalloonSocket> BalloonSockets() {
  const std::string prefix = layout::RuntimeDir("x") + "/";
  const auto below = [&prefix](const std::string& path) {
    return std::string(absl::StripPrefix(path, prefix));
  };
  return {
      {below(layout::QemuBalloonSocket("x")), config::Hypervisor::kQemu},
      {below(layout::CrosvmControlSocket("x")), config::Hypervisor::kCrosvm},
      {below(layout::CloudHypervisorControlSocket("x")),
       config::Hypervisor::kCloudHypervisor},
  };
}

}  // namespace vmsilo::hypervisor
