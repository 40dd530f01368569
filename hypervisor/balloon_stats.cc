#include "hypervisor/balloon_stats.h"

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/value.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

std::optional<uint64_t> CountReader::Count(absl::string_view key) {
  const Value* value = is_broken_ ? nullptr : table_->Find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (const int64_t* number = value->AsInteger()) {
    if (*number < 0) return std::nullopt;
    return static_cast<uint64_t>(*number);
  }
  if (const uint64_t* number = value->AsUnsigned()) return *number;
  is_broken_ = true;
  return std::nullopt;
}

std::optional<Bytes> CountReader::Size(absl::string_view key) {
  const std::optional<uint64_t> count = Count(key);
  return count ? std::optional<Bytes>(*count) : std::nullopt;
}

std::optional<BalloonSample> ReadBalloonStats(const Value& message) {
  CountReader outer(&message);
  const std::optional<Bytes> size = outer.Size("balloon_actual");
  CountReader stats(message.Find("stats"));
  GuestMemory guest;
  guest.free = stats.Size("free_memory");
  guest.total = stats.Size("total_memory");
  guest.available = stats.Size("available_memory");
  guest.caches = stats.Size("disk_caches");
  guest.swapped_in = stats.Count("swap_in");
  guest.swapped_out = stats.Count("swap_out");
  guest.major_faults = stats.Count("major_faults");
  // crosvm drops these two.
  guest.oom_kills = stats.Count("oom_kills");
  guest.allocation_stalls = stats.Count("alloc_stalls");
  if (!size || outer.is_broken() || stats.is_broken()) return std::nullopt;
  return BalloonSample{.size = *size, .guest = guest};
}

}  // namespace vmsilo::hypervisor
