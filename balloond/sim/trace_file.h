#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/trace.h"

// Workloads as text, so that recorded ones can be measured too. README.md has
// the format.
namespace vmsilo::balloond::sim {

// A day of eight VMs, once a second, is about 20 MB.
inline constexpr size_t kMaxTraceBytes = size_t{64} << 20;
inline constexpr size_t kMaxTraceVms = 64;
inline constexpr double kMaxTraceSeconds = 86400;
// Of all VMs together: what a run may take in memory, half a gigabyte.
inline constexpr double kMaxTraceVmSeconds = 16 * 86400.0;
// MiB, of anything: 16 TiB.
inline constexpr double kMaxTraceAmount = 16 << 20;

// InvalidArgument, ResourceExhausted for more than the limits above, both
// with the line; never a part of a trace.
absl::StatusOr<Trace> ParseTrace(absl::string_view text);

// Such a text. Amounts and times are rounded to thousandths.
std::string FormatTrace(const Trace& trace);

}  // namespace vmsilo::balloond::sim
