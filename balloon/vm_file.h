#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"

// What is known of a silo's memory before it runs: a file in its runtime
// directory (layout::BalloonFile()), which is root's, and says to the balloon
// daemon what no guest may. One JSON table:
//
//   {"hypervisor":"qemu","unit":"vmsilo-work-vm.service","memory":2147483648,
//    "memoryGuaranteed":536870912,"excluded":"passed-through devices"}
//
// `memoryGuaranteed` and `excluded` may be absent. Members with other names
// are skipped.
namespace vmsilo::balloon {

// Ten times what there is.
inline constexpr size_t kMaxVmFileBytes = 4096;
// systemd's own limit.
inline constexpr size_t kMaxUnitBytes = 255;
// A few words.
inline constexpr size_t kMaxExcludedBytes = 128;

struct VmFile {
  // The configuration's word.
  std::string hypervisor;
  // That of the hypervisor.
  std::string unit;
  Bytes memory;
  // What the balloon leaves to the guest.
  std::optional<Bytes> guaranteed;
  // Why the balloon is never moved; empty if it is.
  std::string excluded;

  friend bool operator==(const VmFile&, const VmFile&) = default;
};

// On one line, without its end.
std::string PrintVmFile(const VmFile& file);

// InvalidArgument for anything that is not of that form.
absl::StatusOr<VmFile> ParseVmFile(absl::string_view text);

}  // namespace vmsilo::balloon
