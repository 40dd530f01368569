#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/trace_file.h"
#include "common/log.h"

// What is a trace is within its limits, and is the same after it was printed
// and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vmsilo::balloond::sim::FormatTrace;
  using vmsilo::balloond::sim::ParseTrace;
  using vmsilo::balloond::sim::Trace;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<Trace> trace = ParseTrace(text);
  if (!trace.ok()) return 0;
  CHECK(!trace->vms.empty());
  CHECK(trace->vms.size() <= vmsilo::balloond::sim::kMaxTraceVms);
  CHECK(trace->duration <= vmsilo::balloond::sim::kMaxTraceSeconds);
  const std::string printed = FormatTrace(*trace);
  const absl::StatusOr<Trace> again = ParseTrace(printed);
  CHECK(again.ok());
  CHECK(FormatTrace(*again) == printed);
  return 0;
}
