#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::vsock {

// What fits in sockaddr_un::sun_path beside the terminating NUL.
inline constexpr size_t kMaxSocketPathBytes = 107;

// A port of a guest that the kernel reaches: AF_VSOCK, as with crosvm and with
// QEMU's vhost-vsock device.
struct KernelAddress {
  uint32_t cid = 0;
  uint32_t port = 0;
  friend bool operator==(const KernelAddress&, const KernelAddress&) = default;
};

// A port of a guest behind a Unix socket of its virtual machine monitor, which
// is asked for the port in a line of text: Cloud Hypervisor and
// vhost-device-vsock.
struct HybridAddress {
  std::string path;
  uint32_t port = 0;
  friend bool operator==(const HybridAddress&, const HybridAddress&) = default;
};

using Address = std::variant<KernelAddress, HybridAddress>;

// Parses `vsock:CID:PORT` or `unix:PATH:PORT`. The port follows the last
// colon, so that a path may contain colons. InvalidArgument for anything else,
// for the wildcards of man 7 vsock (a CID or port of 4294967295), CID 0, port 0
// and for a path that is empty, contains NUL or is longer than
// kMaxSocketPathBytes.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// The inverse of ParseAddress().
std::string FormatAddress(const Address& address);

}  // namespace vmsilo::vsock
