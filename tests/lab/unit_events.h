#pragma once

#include <systemd/sd-bus.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vmsilo::lab {

// Tells when something has changed among the units of a service manager, or
// elsewhere on its bus: a test looks again then, and only then.
class UnitEvents {
 public:
  // The system's manager.
  static absl::StatusOr<UnitEvents> OfSystem();
  // That of a user who has one.
  static absl::StatusOr<UnitEvents> OfUser(const std::string& uid);

  // For poll(2), which is to wait for POLLIN.
  int fd() const { return sd_bus_get_fd(bus_.get()); }

  // Forgets what has come up to now; whether that was anything.
  absl::StatusOr<bool> Drain();

  // Until something comes, or the time is over.
  absl::Status Wait(absl::Duration duration);

 private:
  struct Close {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  };
  using Bus = std::unique_ptr<sd_bus, Close>;

  explicit UnitEvents(Bus bus) : bus_(std::move(bus)) {}

  static absl::StatusOr<UnitEvents> Subscribe(Bus bus);

  Bus bus_;
};

}  // namespace vmsilo::lab
