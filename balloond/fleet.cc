#include "balloond/fleet.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "balloon/limits.h"
#include "balloon/vm_file.h"
#include "balloond/balancer.h"
#include "balloond/controller.h"
#include "balloond/host.h"
#include "balloond/journal.h"
#include "balloond/kernel_text.h"
#include "balloond/rounds.h"
#include "common/bytes.h"
#include "common/escape.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "common/value.h"
#include "config/config.h"
#include "config/layout.h"

namespace vmsilo::balloond {
namespace {

// One line a silo, of a name and a number.
constexpr size_t kMaxWishesBytes =
    balloon::kMaxVms * (balloon::kMaxNameBytes + 32);

int64_t ToSigned(Bytes bytes) {
  return static_cast<int64_t>(
      std::min<uint64_t>(bytes.count(), std::numeric_limits<int64_t>::max()));
}

// The part of a control group's path that ends with the unit. NotFound if it
// is not that unit's.
absl::StatusOr<std::string> CgroupOfUnit(absl::string_view cgroup,
                                         absl::string_view unit) {
  std::string path;
  for (const absl::string_view part :
       absl::StrSplit(cgroup, '/', absl::SkipEmpty())) {
    absl::StrAppend(&path, "/", part);
    if (part == unit) return path;
  }
  return absl::NotFoundError("not in its unit's control group");
}

}  // namespace

absl::StatusOr<balloon::VmFile> ReadVmFile(const std::string& run_dir,
                                           const std::string& name) {
  VMSILO_ASSIGN_OR_RETURN(const UniqueFd directory,
                          Open(run_dir, O_PATH | O_DIRECTORY));
  const std::string path = absl::StrCat(name, "/", layout::kBalloonFileName);
  VMSILO_ASSIGN_OR_RETURN(
      const UniqueFd fd,
      OpenBeneath(directory.get(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus("stat");
  // Whoever can write it decides over all the silo's memory.
  if (!S_ISREG(info.st_mode) ||
      (info.st_uid != 0 && info.st_uid != geteuid()) ||
      (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(path), " is not root's alone"));
  }
  VMSILO_ASSIGN_OR_RETURN(const std::string text,
                          ReadAll(fd.get(), balloon::kMaxVmFileBytes));
  absl::StatusOr<balloon::VmFile> file = balloon::ParseVmFile(text);
  if (!file.ok()) return Annotate(file.status(), Quoted(path));
  return file;
}

Fleet::Fleet(Rounds* rounds, Host* host, Journal* journal, std::string run_dir,
             std::string wishes, Roots roots, MakeClient make_client)
    : rounds_(rounds),
      host_(host),
      journal_(journal),
      run_dir_(std::move(run_dir)),
      wishes_path_(std::move(wishes)),
      roots_(std::move(roots)),
      make_client_(std::move(make_client)) {}

void Fleet::Start() {
  const absl::StatusOr<std::string> text =
      ReadFile(wishes_path_, kMaxWishesBytes);
  const absl::StatusOr<Value> wishes =
      text.ok() ? ParseJson(*text) : absl::StatusOr<Value>(text.status());
  if (wishes.ok() && wishes->is_table()) {
    for (const Value::Member& member : *wishes->AsTable()) {
      const int64_t* balloon = member.value.AsInteger();
      if (balloon != nullptr && *balloon >= 0) wishes_[member.key] = *balloon;
    }
  } else if (!absl::IsNotFound(wishes.status())) {
    LOG(WARNING) << "what people had wished is lost: "
                 << (wishes.ok() ? "not a table" : wishes.status().message());
  }
}

const Found* Fleet::Choose(const std::string& name, const File& file) const {
  const auto sockets = sockets_.find(name);
  if (sockets == sockets_.end()) return nullptr;
  for (const auto& [path, found] : sockets->second) {
    // Only root says which protocol is spoken, if it says anything.
    if (!file.ok() || file->hypervisor == config::ToString(found.hypervisor)) {
      return &found;
    }
  }
  return nullptr;
}

void Fleet::Apply(const File& file, Silo* silo) {
  silo->file.reset();
  silo->excluded.clear();
  VmTraits traits = {.name = silo->found.name};
  if (file.ok()) {
    traits.memory = ToSigned(file->memory);
    traits.guaranteed = ToSigned(file->guaranteed.value_or(Bytes(0)));
    silo->excluded = file->excluded;
    silo->file = *file;
  } else if (!absl::IsNotFound(file.status())) {
    silo->excluded =
        EscapedText(file.status().message(), balloon::kMaxExcludedBytes);
    journal_->OnFileError(silo->found.name, file.status());
  }
  traits.is_excluded = !silo->excluded.empty();
  if (const auto wish = wishes_.find(silo->found.name);
      wish != wishes_.end() && !traits.is_excluded) {
    traits.fixed_balloon = wish->second;
  }
  silo->traits = std::move(traits);
}

void Fleet::Consider(const std::string& name, const std::string& replaced) {
  const File file = ReadVmFile(run_dir_, name);
  const Found* chosen = Choose(name, file);
  const auto it = silos_.find(name);
  if (it != silos_.end()) {
    Silo& silo = it->second;
    const bool is_same_vm = chosen != nullptr && silo.found == *chosen &&
                            silo.found.socket != replaced;
    const std::string unit = silo.file ? silo.file->unit : "";
    if (is_same_vm && unit == (file.ok() ? file->unit : "")) {
      const std::optional<balloon::VmFile> file_before = silo.file;
      const std::string excluded_before = silo.excluded;
      Apply(file, &silo);
      if (silo.file != file_before || silo.excluded != excluded_before) {
        rounds_->UpdateVm(silo.id, silo.traits);
      }
      return;
    }
    Remove(it);
    if (!is_same_vm) {
      journal_->OnLost(name);
      if (wishes_.erase(name) > 0) StoreWishes();
    }
  }
  if (chosen == nullptr) return;
  if (silos_.size() >= balloon::kMaxVms) return journal_->OnTooMany(name);
  Add(*chosen, file);
}

void Fleet::Add(const Found& found, const File& file) {
  const VmId id = ++last_id_;
  Silo& silo = silos_[found.name];
  silo = {.id = id, .found = found};
  names_[id] = found.name;
  Apply(file, &silo);
  journal_->OnFound(found.name, config::ToString(found.hypervisor),
                    silo.excluded);
  rounds_->AddVm(
      id, silo.traits,
      make_client_(found,
                   silo.file ? std::optional(silo.file->unit) : std::nullopt,
                   [this, id](pid_t pid) { OnPeer(id, pid); }));
}

void Fleet::Remove(std::map<std::string, Silo>::iterator silo) {
  const VmId id = silo->second.id;
  silos_.erase(silo);
  names_.erase(id);
  host_->Forget(id);
  rounds_->RemoveVm(id);
}

void Fleet::OnSocket(const Found& found) {
  sockets_[found.name][found.socket] = found;
  Consider(found.name, found.socket);
}

void Fleet::OnSocketGone(const std::string& name, const std::string& socket) {
  const auto sockets = sockets_.find(name);
  if (sockets == sockets_.end()) return;
  sockets->second.erase(socket);
  if (sockets->second.empty()) sockets_.erase(sockets);
  Consider(name);
}

void Fleet::OnFile(const std::string& name) {
  if (sockets_.count(name) > 0) Consider(name);
}

void Fleet::OnScanned() {
  const size_t before = wishes_.size();
  for (auto it = wishes_.begin(); it != wishes_.end();) {
    it = silos_.count(it->first) > 0 ? std::next(it) : wishes_.erase(it);
  }
  if (wishes_.size() != before) StoreWishes();
}

void Fleet::Reread() {
  std::vector<std::string> names;
  for (const auto& [name, sockets] : sockets_) names.push_back(name);
  for (const std::string& name : names) Consider(name);
}

absl::Status Fleet::Set(const std::string& name,
                        std::optional<int64_t> balloon) {
  const auto it = silos_.find(name);
  if (it == silos_.end()) {
    return absl::NotFoundError(absl::StrCat("no silo ", Quoted(name), " runs"));
  }
  Silo& silo = it->second;
  if (!balloon) {
    wishes_.erase(name);
  } else {
    if (silo.traits.is_excluded) {
      return absl::FailedPreconditionError(
          absl::StrCat("the balloon of silo ", Quoted(name),
                       " is left alone: ", silo.excluded));
    }
    if (silo.traits.memory > 0) {
      const int64_t most =
          MostBalloon(silo.traits.memory, silo.traits.guaranteed);
      if (*balloon > most) {
        return absl::FailedPreconditionError(absl::StrCat(
            "silo ", Quoted(name), " can give up ", most >> 20, "M at most"));
      }
    }
    wishes_[name] = *balloon;
  }
  silo.traits.fixed_balloon = balloon;
  rounds_->UpdateVm(silo.id, silo.traits);
  StoreWishes();
  return absl::OkStatus();
}

const Fleet::Silo* Fleet::Find(VmId id) const {
  const auto name = names_.find(id);
  if (name == names_.end()) return nullptr;
  return &silos_.at(name->second);
}

void Fleet::OnPeer(VmId id, pid_t pid) {
  const Silo* silo = Find(id);
  if (silo == nullptr || !silo->file) return;
  // Any error leaves what it occupies unknown, which is no failure: it may be
  // a host without the unified hierarchy.
  const absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat(roots_.proc, "/", pid, "/cgroup"), kMaxKernelText);
  if (!text.ok()) return;
  const absl::StatusOr<std::string> cgroup = ParseCgroup(*text);
  if (!cgroup.ok()) return;
  const absl::StatusOr<std::string> path =
      CgroupOfUnit(*cgroup, silo->file->unit);
  if (!path.ok()) return;
  absl::StatusOr<UniqueFd> memory =
      Open(absl::StrCat(roots_.cgroup, *path, "/memory.stat"), O_RDONLY);
  if (memory.ok()) host_->Watch(id, *std::move(memory));
}

void Fleet::StoreWishes() {
  Value::Table table;
  for (const auto& [name, balloon] : wishes_) {
    table.push_back({name, {}, Value(balloon)});
  }
  // They hold all the same, as long as this process lives.
  const absl::Status status =
      WriteFileAtomically(wishes_path_, ToJson(Value(std::move(table))), 0600,
                          Durability::kFleeting);
  if (!status.ok()) {
    LOG(WARNING) << "a restart will forget what was wished: "
                 << status.message();
  }
}

}  // namespace vmsilo::balloond
