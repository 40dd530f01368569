#pragma once

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/kernel_text.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {

// Where the rounds get their look at the host from.
class HostSource {
 public:
  virtual ~HostSource() = default;
  virtual absl::StatusOr<HostReading> Read(absl::Time now) = 0;
};

// The kernel's files, opened once: a look costs a pread() a file, also when
// nothing may be opened any more. The files are /proc's below `proc`.
class Host final : public HostSource {
 public:
  // Fails without meminfo. Without pressure, which kernels can do without, it
  // counts as none; pressure_status() says why.
  static absl::StatusOr<Host> Open(const std::string& proc);

  absl::StatusOr<HostReading> Read(absl::Time now) override;

  const absl::Status& pressure_status() const { return pressure_status_; }

  // How much was waited for memory since the last Read(): says whether an
  // event of the pressure trigger was a true one. Nothing without pressure.
  absl::Duration WaitedSinceRead() const;

  // From now on readings have what `vm` occupies. `memory_stat` is that
  // file of its control group; once it cannot be read any more, the VM is
  // absent from readings.
  void Watch(VmId vm, UniqueFd memory_stat);
  void Forget(VmId vm);

 private:
  explicit Host(UniqueFd meminfo) : meminfo_(std::move(meminfo)) {}

  UniqueFd meminfo_;
  UniqueFd pressure_;
  absl::Status pressure_status_;
  PressureMeter meter_;
  std::map<VmId, UniqueFd> resident_;
};

}  // namespace vmsilo::balloond
