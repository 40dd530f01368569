#include "config/resolve.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "config/check.h"
#include "config/layout.h"
#include "config/locate.h"
#include "config/stable_hash.h"
#include "config/text_rules.h"

namespace vmsilo::config {
namespace {

// Derived CIDs are 31-bit numbers well above those that people set, and those
// of the prototype.
constexpr uint32_t kFirstHashedCid = 0x10000;
constexpr uint32_t kHashedCids = 0x80000000u - kFirstHashedCid;
constexpr uint32_t kFirstCid = 3;

// The only user of a guest, by the prototype's convention.

bool CanHaveSound(const Config& config, const Vm& vm) {
  switch (vm.hypervisor) {
    case Hypervisor::kCrosvm:
      return true;
    case Hypervisor::kCloudHypervisor:
      return config.cloud_hypervisor.version >= kCloudHypervisorWithSound;
    case Hypervisor::kQemu:
      return config.qemu.version >= kQemuWithSound;
  }
  return false;
}

class Resolver {
 public:
  Resolver(const Value& tree, Config& config, DiagnosticSink& sink)
      : tree_(tree), config_(config), sink_(sink) {}

  void ResolveUser(const UserDatabase& users);
  void ResolveVm(Vm& vm);
  void ResolveCids();
  void ResolveUnits();

 private:
  void Error(const Location& location, std::string message) {
    sink_.Add(Severity::kError, location.at, location.key, std::move(message));
  }

  void ResolveGpu(Vm& vm);
  void ResolveHome(Vm& vm);
  void ResolveInterface(const Vm& vm, Interface& interface);

  const Value& tree_;
  Config& config_;
  DiagnosticSink& sink_;
};

void Resolver::ResolveUser(const UserDatabase& users) {
  User& user = config_.user;
  const Host& host = config_.host;
  const Location at = Locate(tree_, {"user"});
  if (user.name.empty()) {
    // What is there, but wrong, has been reported.
    if (config_.enable && !IsSet(tree_, {"user"})) {
      Error(at, "the desktop user's name is missing: user = \"NAME\"");
    }
    return;
  }
  std::optional<PasswdEntry> entry;
  if (users.passwd) entry = FindUser(*users.passwd, user.name);
  std::vector<absl::string_view> missing;
  if (!host.uid && !entry) missing.push_back("host.uid");
  if (!host.gid && !entry) missing.push_back("host.gid");
  if (!host.home && !entry) missing.push_back("host.home");
  if (!missing.empty()) {
    Error(at, absl::StrCat(Quoted(user.name),
                           users.passwd ? " is not in /etc/passwd"
                                        : " cannot be looked up, because "
                                          "/etc/passwd cannot be read",
                           "; mend the name, or set ",
                           absl::StrJoin(missing, ", ")));
    return;
  }
  user.uid = host.uid ? *host.uid : entry->uid;
  user.gid = host.gid ? *host.gid : entry->gid;
  user.home = host.home ? *host.home : entry->home;
  if (user.uid == 0) {
    const Location uid = Locate(tree_, {"host", "uid"});
    const Location& cause = host.uid ? uid : at;
    sink_.Add(Severity::kWarning, cause.at, cause.key,
              "this is root: what serves silos in a person's session would "
              "have all rights; name the person whose desktop it is");
  }
  std::string accepted;
  if (!host.home && !AcceptPath(user.home, &accepted)) {
    Error(at,
          absl::StrCat("the home directory in /etc/passwd, ", Quoted(user.home),
                       ", is no absolute path; set host.home"));
  }
  std::optional<std::string> group = host.group;
  if (!group && users.group) group = FindGroupName(*users.group, user.gid);
  // tmpfiles.d and systemd take a number as well as a name.
  if (!group || !AcceptUserName(*group, &accepted)) {
    group = absl::StrCat(user.gid);
  }
  user.group = *std::move(group);
}

void Resolver::ResolveGpu(Vm& vm) {
  if (vm.hypervisor == Hypervisor::kQemu &&
      !IsSet(tree_, {"vms", vm.name, "gpu"})) {
    vm.gpu.reset();
  }
  if (!vm.gpu) return;
  if (!IsSet(tree_, {"vms", vm.name, "gpu", "allowWX"})) {
    vm.gpu->allow_wx = config_.gpu.allow_wx;
  }
  if (!IsSet(tree_, {"vms", vm.name, "gpu", "logLevel"})) {
    vm.gpu->log_level = config_.crosvm.log_level;
  }
}

void Resolver::ResolveHome(Vm& vm) {
  if (!vm.shared_home) return;
  if (vm.shared_home->empty()) {
    vm.shared_home = absl::StrCat(config_.host.shared_home_dir, "/", vm.name);
  }
  SharedDirectory home = {.tag = "home", .path = *vm.shared_home};
  home.is_home = true;
  auto& shares = vm.shared_directories;
  const auto place =
      std::lower_bound(shares.begin(), shares.end(), home.tag,
                       [](const SharedDirectory& share,
                          const std::string& tag) { return share.tag < tag; });
  if (place == shares.end() || place->tag != home.tag) {
    shares.insert(place, std::move(home));
    return;
  }
  const Location at =
      Locate(tree_, {"vms", vm.name, "sharedDirectories", "home"});
  sink_.Add(Severity::kNote, at.at, at.key,
            "accepted, but without effect: the tag 'home' is sharedHome's; "
            "set sharedHome = false, or choose another tag");
  *place = std::move(home);
}

void Resolver::ResolveInterface(const Vm& vm, Interface& interface) {
  const std::string full_name = absl::StrCat(vm.name, "-", interface.name);
  const uint64_t hash = StableHash(full_name);
  if (interface.tap.name.empty()) {
    interface.tap.name = full_name;
    if (full_name.size() > kMaxInterfaceNameBytes) {
      const std::string tail = absl::StrFormat("-%06x", hash & 0xffffff);
      interface.tap.name =
          full_name.substr(0, kMaxInterfaceNameBytes - tail.size()) + tail;
    }
  }
  if (interface.mac_address.empty()) {
    // 02: one device's, and locally administered.
    interface.mac_address = absl::StrFormat(
        "02:%02x:%02x:%02x:%02x:%02x", (hash >> 56) & 0xff, (hash >> 48) & 0xff,
        (hash >> 40) & 0xff, (hash >> 32) & 0xff, (hash >> 24) & 0xff);
  }
}

void Resolver::ResolveVm(Vm& vm) {
  ResolveGpu(vm);
  if (!IsSet(tree_, {"vms", vm.name, "sound"}) && !CanHaveSound(config_, vm)) {
    vm.sound = {.playback = false, .capture = false};
  }
  ResolveHome(vm);
  for (Interface& interface : vm.network.interfaces) {
    ResolveInterface(vm, interface);
  }
}

void Resolver::ResolveCids() {
  absl::flat_hash_map<uint32_t, const Vm*> owners;
  const auto claim = [this, &owners](const Vm& vm) {
    const auto [found, is_new] = owners.emplace(vm.cid, &vm);
    if (is_new) return;
    uint32_t free = kFirstCid;
    while (owners.contains(free)) ++free;
    Error(
        Locate(tree_, {"vms", vm.name, "cid"}),
        absl::StrCat("the silo would have the vsock address ", vm.cid, ", as '",
                     found->second->name, "' has; set cid = ", free));
  };
  // Those that are set go first: nobody shall be told to change what he set.
  std::vector<Vm*> unset;
  for (Vm& vm : config_.vms) {
    if (vm.cid == 0) {
      unset.push_back(&vm);
    } else {
      claim(vm);
    }
  }
  for (Vm* vm : unset) {
    const size_t place = vm - config_.vms.data();
    vm->cid = config_.cid_assignment == CidAssignment::kSequential
                  ? static_cast<uint32_t>(kFirstCid + place)
                  : static_cast<uint32_t>(kFirstHashedCid +
                                          StableHash(vm->name) % kHashedCids);
    claim(*vm);
  }
}

void Resolver::ResolveUnits() {
  std::map<std::string, UnitSettings> merged;
  const auto add = [&merged](const std::string& name,
                             const UnitSettings& settings) {
    UnitSettings& target = merged[name];
    for (const auto& [section, lines] : settings) {
      std::vector<UnitSetting>& into = target[section];
      into.insert(into.end(), lines.begin(), lines.end());
    }
  };
  for (const Vm& vm : config_.vms) {
    for (const auto& [role, settings] : vm.units) {
      const std::string unit = layout::UnitForRole(vm.name, role);
      if (unit.empty()) {
        const absl::string_view nearest = Nearest(
            role, {std::begin(layout::kRoles), std::end(layout::kRoles)});
        Error(
            Locate(tree_, {"vms", vm.name, "units", role}),
            absl::StrCat("a silo has no unit of this short name; ",
                         nearest.empty()
                             ? "there are 'vm', 'socket', 'proxy', 'prep', "
                               "'console-relay', 'console-socket', "
                               "'virtiofsd-TAG', 'sound', 'tray', "
                               "'wayland-seccontext', 'gpu', 'usb-attach' and "
                               "'session-bind'"
                             : absl::StrCat("did you mean '", nearest, "'?")));
        continue;
      }
      add(unit, settings);
    }
  }
  for (const auto& [name, settings] : config_.units) {
    const bool has_type =
        absl::EndsWith(name, ".service") || absl::EndsWith(name, ".socket") ||
        absl::EndsWith(name, ".slice") || absl::EndsWith(name, ".target");
    add(has_type ? name : absl::StrCat(name, ".service"), settings);
  }
  config_.units = std::move(merged);
}

}  // namespace

void ResolveImages(const Value& tree, Config& config) {
  for (Vm& vm : config.vms) {
    if (vm.kernel && !IsSet(tree, {"vms", vm.name, "image"})) vm.image.reset();
  }
}

void Resolve(const Value& tree, const UserDatabase& users, Config& config,
             DiagnosticSink& sink) {
  Resolver resolver(tree, config, sink);
  resolver.ResolveUser(users);
  for (Vm& vm : config.vms) resolver.ResolveVm(vm);
  resolver.ResolveCids();
  resolver.ResolveUnits();
  Check(tree, config, sink);
}

}  // namespace vmsilo::config
