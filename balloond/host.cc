#include "balloond/host.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "balloond/kernel_text.h"
#include "common/file.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {
namespace {

// One more, so that what is too long shows.
using Text = std::array<char, kMaxKernelText + 1>;

// The kernel makes such a file's text anew for each reading from its start.
absl::StatusOr<absl::string_view> ReadAgain(int fd, Text* text) {
  size_t size = 0;
  while (size < text->size()) {
    const ssize_t count = pread(fd, text->data() + size, text->size() - size,
                                static_cast<off_t>(size));
    if (count < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus("read");
    }
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  return absl::string_view(text->data(), size);
}

absl::StatusOr<Pressure> ReadPressure(int fd) {
  Text buffer;
  VMSILO_ASSIGN_OR_RETURN(const absl::string_view text, ReadAgain(fd, &buffer));
  return ParsePressure(text);
}

absl::StatusOr<int64_t> ReadOccupied(int fd) {
  Text buffer;
  VMSILO_ASSIGN_OR_RETURN(const absl::string_view text, ReadAgain(fd, &buffer));
  return ParseOccupied(text);
}

}  // namespace

absl::StatusOr<Host> Host::Open(const std::string& proc) {
  VMSILO_ASSIGN_OR_RETURN(
      UniqueFd meminfo, vmsilo::Open(absl::StrCat(proc, "/meminfo"), O_RDONLY));
  Host host(std::move(meminfo));
  absl::StatusOr<UniqueFd> pressure =
      vmsilo::Open(absl::StrCat(proc, "/pressure/memory"), O_RDONLY);
  if (!pressure.ok()) {
    host.pressure_status_ = pressure.status();
    return host;
  }
  // It can be there and say EOPNOTSUPP: compiled in, but off at boot.
  if (const absl::StatusOr<Pressure> first = ReadPressure(pressure->get());
      !first.ok()) {
    host.pressure_status_ =
        Annotate(first.status(), absl::StrCat(proc, "/pressure/memory"));
    return host;
  }
  host.pressure_ = *std::move(pressure);
  return host;
}

absl::StatusOr<HostReading> Host::Read(absl::Time now) {
  Text buffer;
  VMSILO_ASSIGN_OR_RETURN(const absl::string_view text,
                          ReadAgain(meminfo_.get(), &buffer));
  absl::StatusOr<Meminfo> meminfo = ParseMeminfo(text);
  if (!meminfo.ok()) return Annotate(meminfo.status(), "/proc/meminfo");
  HostReading reading = {.total = meminfo->total,
                         .available = meminfo->available,
                         .free = meminfo->free};
  if (pressure_.is_valid()) {
    const absl::StatusOr<Pressure> pressure = ReadPressure(pressure_.get());
    if (pressure.ok()) {
      reading.pressure = meter_.Update(*pressure, now);
    } else {
      pressure_status_ = pressure.status();
      pressure_.Reset();
    }
  }
  for (auto it = resident_.begin(); it != resident_.end();) {
    const absl::StatusOr<int64_t> resident = ReadOccupied(it->second.get());
    if (resident.ok()) {
      reading.resident.emplace_hint(reading.resident.end(), it->first,
                                    *resident);
      ++it;
    } else {
      // The control group has gone, and the VM with it.
      it = resident_.erase(it);
    }
  }
  return reading;
}

absl::Duration Host::WaitedSinceRead() const {
  if (!pressure_.is_valid()) return absl::ZeroDuration();
  const absl::StatusOr<Pressure> pressure = ReadPressure(pressure_.get());
  return pressure.ok() ? meter_.Since(*pressure) : absl::ZeroDuration();
}

void Host::Watch(VmId vm, UniqueFd memory_stat) {
  resident_[vm] = std::move(memory_stat);
}

void Host::Forget(VmId vm) { resident_.erase(vm); }

}  // namespace vmsilo::balloond
