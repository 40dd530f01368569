#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/value.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

// Reads counts out of a table of a peer's message. Absent is a count that is
// missing, null or negative: what the guest did not say is null in crosvm's
// answers and -1 in those of old QEMUs.
class CountReader {
 public:
  // Borrowed. Null, or no table: broken, and everything absent.
  explicit CountReader(const Value* table)
      : table_(table), is_broken_(table == nullptr || !table->is_table()) {}

  std::optional<uint64_t> Count(absl::string_view key);
  std::optional<Bytes> Size(absl::string_view key);

  // Whether something that was asked for is no whole number. What was read
  // counts for nothing then.
  bool is_broken() const { return is_broken_; }

 private:
  const Value* table_;
  bool is_broken_;
};

// {"balloon_actual": …, "stats": {"free_memory": …, …}}, as crosvm and Cloud
// Hypervisor have it alike (crosvm vm_control/src/balloon_tube.rs@f1e797a68,
// cloud-hypervisor pull request 8603). Absent if it is not that. `age` is left
// at zero.
std::optional<BalloonSample> ReadBalloonStats(const Value& message);

}  // namespace vmsilo::hypervisor
