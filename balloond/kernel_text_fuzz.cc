// The kernel's files. The parsers take any text, and what they return is in
// the range that their callers count on.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloond/kernel_text.h"

namespace vmsilo::balloond {
namespace {

void Require(bool condition) {
  if (!condition) abort();
}

void CheckMeminfo(absl::string_view text) {
  const absl::StatusOr<Meminfo> meminfo = ParseMeminfo(text);
  if (!meminfo.ok()) return;
  Require(meminfo->total >= 0 && meminfo->free >= 0 && meminfo->available >= 0);
  const absl::StatusOr<Meminfo> again = ParseMeminfo(
      absl::StrCat("MemFree: ", meminfo->free / 1024,
                   " kB\nMemTotal: ", meminfo->total / 1024,
                   " kB\nMemAvailable: ", meminfo->available / 1024, " kB\n"));
  Require(again.ok() && *again == *meminfo);
}

void CheckPressure(absl::string_view text) {
  const absl::StatusOr<Pressure> pressure = ParsePressure(text);
  if (!pressure.ok()) return;
  Require(pressure->avg10 >= 0 && pressure->avg10 <= 100);
  Require(pressure->total >= absl::ZeroDuration());
  PressureMeter meter;
  const double share = meter.Update(*pressure, absl::UnixEpoch());
  Require(share >= 0 && share <= 100);
}

void CheckCgroup(absl::string_view text) {
  const absl::StatusOr<std::string> cgroup = ParseCgroup(text);
  if (!cgroup.ok()) return;
  Require(cgroup->front() == '/');
  Require(cgroup->find("/../") == std::string::npos);
  Require(cgroup->find('\n') == std::string::npos);
}

}  // namespace
}  // namespace vmsilo::balloond

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  vmsilo::balloond::CheckMeminfo(text);
  vmsilo::balloond::CheckPressure(text);
  vmsilo::balloond::CheckCgroup(text);
  const absl::StatusOr<int64_t> occupied =
      vmsilo::balloond::ParseOccupied(text);
  vmsilo::balloond::Require(!occupied.ok() || *occupied >= 0);
  return 0;
}
