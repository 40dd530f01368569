#include "config/load_fuzz_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "common/json.h"
#include "common/log.h"
#include "common/value.h"
#include "config/check.h"
#include "config/colors.h"
#include "config/layout.h"
#include "config/text_rules.h"

namespace vmsilo::config {
namespace {

const UserDatabase& Users() {
  static const auto* const users =
      new UserDatabase{.passwd = "alice:x:1000:100::/home/alice:/bin/sh\n",
                       .group = "users:x:100:\n"};
  return *users;
}

size_t DepthOf(const Value& value) {
  size_t depth = 0;
  if (const Value::Array* array = value.AsArray()) {
    for (const Value& element : *array) {
      depth = std::max(depth, DepthOf(element) + 1);
    }
  }
  if (const Value::Table* table = value.AsTable()) {
    for (const Value::Member& member : *table) {
      depth = std::max(depth, DepthOf(member.value) + 1);
    }
  }
  return depth;
}

// A message goes to terminals and journals.
void CheckPrintable(absl::string_view text) {
  for (unsigned char c : text) CHECK(c >= 0x20 && c != 0x7f);
}

void CheckVm(const Vm& vm, std::set<uint32_t>& cids,
             std::set<std::string>& taps) {
  std::string accepted;
  CHECK(AcceptName(vm.name, &accepted));
  CHECK(vm.cid >= 3 && cids.insert(vm.cid).second);
  CHECK(ResolveColor(vm.color) == vm.color);
  CHECK(vm.cpus >= 1);
  CHECK(layout::ControlSocket(vm.name, vm.hypervisor).size() <= kMaxSocketPath);
  for (const SharedDirectory& share : vm.shared_directories) {
    CHECK(AcceptName(share.tag, &accepted));
    CHECK(AcceptPath(share.path, &accepted));
    CHECK(layout::VirtiofsSocket(vm.name, share.tag).size() <= kMaxSocketPath);
  }
  for (const Interface& interface : vm.network.interfaces) {
    CHECK(AcceptInterfaceName(interface.tap.name, &accepted));
    CHECK(AcceptMacAddress(interface.mac_address, &accepted));
    CHECK(taps.insert(interface.tap.name).second);
  }
  CHECK(!vm.shared_home || AcceptPath(*vm.shared_home, &accepted));
}

}  // namespace

void CheckLoaded(const Source& source) {
  const LoadResult result = Compile({source}, Users());
  CHECK(result.diagnostics.size() <= kMaxDiagnostics + 1);
  bool has_errors = false;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    has_errors = has_errors || diagnostic.severity == Severity::kError;
    CheckPrintable(ToString(diagnostic));
  }
  CHECK(result.ok() != has_errors);
  if (!result.ok()) return;

  std::set<uint32_t> cids;
  std::set<std::string> taps;
  for (const Vm& vm : result.config->vms) CheckVm(vm, cids, taps);

  // The same in JSON is the same configuration.
  if (DepthOf(result.tree) >= kMaxJsonDepth) return;
  const LoadResult json = Compile(
      {{source.name, ToJson(result.tree), Source::Format::kJson}}, Users());
  CHECK(json.ok());
  CHECK(*json.config == *result.config);
}

}  // namespace vmsilo::config
