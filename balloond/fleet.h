#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloon/vm_file.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "balloond/journal.h"
#include "balloond/rounds.h"
#include "config/config.h"
#include "hypervisor/client.h"

namespace vmsilo::balloond {

// A socket of a silo that runs.
struct Found {
  std::string name;
  config::Hypervisor hypervisor = config::Hypervisor::kQemu;
  std::string socket;

  friend bool operator==(const Found&, const Found&) = default;
};

// The file that root has written about a silo (balloon/vm_file.h), below the
// run directory. NotFound if there is none, FailedPrecondition if somebody
// else than root and this process's user could have written it,
// InvalidArgument for what is in it.
absl::StatusOr<balloon::VmFile> ReadVmFile(const std::string& run_dir,
                                           const std::string& name);

// The silos that there are, and what is known of each besides what its guest
// says: gives the rounds their VMs.
class Fleet {
 public:
  // Where the kernel tells of processes and their control groups.
  struct Roots {
    std::string proc = "/proc";
    std::string cgroup = "/sys/fs/cgroup";
  };
  // A client for a silo that was found. With `unit`, peers of other units are
  // refused. `on_peer` is to be called with the process at the other end of
  // each connection.
  using MakeClient = std::function<std::unique_ptr<hypervisor::BalloonClient>(
      const Found& found, std::optional<std::string> unit,
      std::function<void(pid_t)> on_peer)>;

  struct Silo {
    VmId id = 0;
    Found found;
    std::optional<balloon::VmFile> file;
    VmTraits traits;
    // Why its balloon is left alone; empty if it is not.
    std::string excluded;
  };

  // All pointers are borrowed. `run_dir` is where the silos' directories are,
  // `wishes` where people's wishes are kept for a successor.
  Fleet(Rounds* rounds, Host* host, Journal* journal, std::string run_dir,
        std::string wishes, Roots roots, MakeClient make_client);
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Takes over the wishes of a predecessor.
  void Start();

  // A silo's socket has come or has been replaced: another VM than before. Of
  // several the one counts that is of the hypervisor that root has written
  // down.
  void OnSocket(const Found& found);
  void OnSocketGone(const std::string& name, const std::string& socket);
  // The file about a silo has come, has changed, or has gone.
  void OnFile(const std::string& name);
  // All that run have been found: what is known of others is forgotten.
  void OnScanned();

  // Reads all files again.
  void Reread();

  // A person's wish; absent takes it back. NotFound if there is no such silo,
  // FailedPrecondition if its balloon is left alone.
  absl::Status Set(const std::string& name, std::optional<int64_t> balloon);

  // By name.
  const std::map<std::string, Silo>& silos() const { return silos_; }
  // Null if it has gone.
  const Silo* Find(VmId id) const;

 private:
  using File = absl::StatusOr<balloon::VmFile>;

  // Looks at all that is known of a silo, and takes it in or drops it.
  // `replaced` is the socket that was replaced, if any.
  void Consider(const std::string& name, const std::string& replaced = "");
  // Null if none of the sockets will do.
  const Found* Choose(const std::string& name, const File& file) const;
  void Apply(const File& file, Silo* silo);
  void Add(const Found& found, const File& file);
  void Remove(std::map<std::string, Silo>::iterator silo);
  void OnPeer(VmId id, pid_t pid);
  void StoreWishes();

  Rounds* rounds_;
  Host* host_;
  Journal* journal_;
  std::string run_dir_;
  std::string wishes_path_;
  Roots roots_;
  MakeClient make_client_;

  VmId last_id_ = 0;
  // By silo, then by path.
  std::map<std::string, std::map<std::string, Found>> sockets_;
  std::map<std::string, Silo> silos_;
  std::map<VmId, std::string> names_;
  std::map<std::string, int64_t> wishes_;
};

}  // namespace vmsilo::balloond
