#include "unitgen/networkd.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/layout.h"
#include "unitgen/features.h"

namespace vmsilo::unitgen {
namespace {

constexpr absl::string_view kHead =
    "# Made by vmsilo-unitgen: do not change it.\n";

void Emit(absl::string_view name, absl::string_view suffix, std::string content,
          std::string reason, std::vector<std::string> keys, Context* context) {
  File file;
  file.content = std::move(content);
  file.reason = std::move(reason);
  file.keys = std::move(keys);
  // Files of one's own with a lower number come first, and win.
  context->EmitFile(absl::StrCat("systemd/network/60-vmsilo-", name, suffix),
                    std::move(file));
}

void AddTap(const config::Vm& vm, const config::Interface& interface,
            Context* context) {
  const config::Tap& tap = interface.tap;
  const std::vector<std::string> keys = {
      VmKey(vm, absl::StrCat("network.interfaces.", interface.name)),
      "hostNetworking.networkd"};
  const std::string owner = HasOwnUser(context->config(), vm)
                                ? layout::HypervisorUser(vm.name)
                                : "root";
  Emit(tap.name, ".netdev",
       absl::StrCat(kHead, "\n[NetDev]\nName=", tap.name,
                    "\nKind=tap\n\n[Tap]\nUser=", owner, "\nVNetHeader=yes\n"),
       absl::StrCat("makes the TAP device ", tap.name, " of silo '", vm.name,
                    "'"),
       keys, context);
  std::string network =
      absl::StrCat(kHead, "\n[Match]\nName=", tap.name,
                   "\n\n[Link]\n# Without a running silo it has no carrier.\n"
                   "RequiredForOnline=no\n\n[Network]\nLinkLocalAddressing=no\n"
                   "IPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n");
  if (tap.bridge.has_value()) {
    absl::StrAppend(&network, "Bridge=", *tap.bridge, "\n");
  }
  if (tap.host_address.has_value()) {
    absl::StrAppend(&network, "Address=", *tap.host_address, "\n");
  }
  Emit(tap.name, ".network", std::move(network),
       absl::StrCat("connects the TAP device ", tap.name, " of silo '", vm.name,
                    "'"),
       keys, context);
}

void AddBridge(const std::string& bridge, Context* context) {
  const std::vector<std::string> keys = {"hostNetworking.networkd", "vms"};
  Emit(bridge, ".netdev",
       absl::StrCat(kHead, "\n[NetDev]\nName=", bridge, "\nKind=bridge\n"),
       absl::StrCat("makes the bridge ", bridge), keys, context);
  Emit(bridge, ".network",
       absl::StrCat(kHead, "\n[Match]\nName=", bridge,
                    "\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n"
                    "LinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n"),
       absl::StrCat("brings the bridge ", bridge, " up"), keys, context);
}

}  // namespace

void AddNetworkd(Context* context) {
  const config::Config& config = context->config();
  if (!config.host_networking.networkd || context->mode().is_generator) return;
  std::set<std::string> bridges;
  for (const config::Vm& vm : config.vms) {
    for (const config::Interface& interface : vm.network.interfaces) {
      AddTap(vm, interface, context);
      if (interface.tap.bridge.has_value()) {
        bridges.insert(*interface.tap.bridge);
      }
    }
  }
  for (const std::string& bridge : bridges) AddBridge(bridge, context);
}

}  // namespace vmsilo::unitgen
