#include "tests/lab/unit_events.h"

#include <systemd/sd-bus.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::lab {
namespace {

absl::Status Check(int result, absl::string_view what) {
  return result < 0 ? ErrnoStatus(-result, what) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<UnitEvents> UnitEvents::OfSystem() {
  sd_bus* raw = nullptr;
  VMSILO_RETURN_IF_ERROR(
      Check(sd_bus_open_system(&raw), "connect to the system's bus"));
  return Subscribe(Bus(raw));
}

absl::StatusOr<UnitEvents> UnitEvents::OfUser(const std::string& uid) {
  // The manager itself, for a user's bus would turn root away.
  const std::string address =
      absl::StrCat("unix:path=/run/user/", uid, "/systemd/private");
  sd_bus* raw = nullptr;
  VMSILO_RETURN_IF_ERROR(Check(sd_bus_new(&raw), "make a connection"));
  Bus bus(raw);
  VMSILO_RETURN_IF_ERROR(
      Check(sd_bus_set_address(raw, address.c_str()), "set the address"));
  VMSILO_RETURN_IF_ERROR(
      Check(sd_bus_start(raw), absl::StrCat("connect to ", address)));
  return Subscribe(std::move(bus));
}

absl::StatusOr<UnitEvents> UnitEvents::Subscribe(Bus bus) {
  VMSILO_RETURN_IF_ERROR(Check(
      sd_bus_add_match(
          bus.get(), nullptr, "type='signal'",
          [](sd_bus_message*, void*, sd_bus_error*) { return 0; }, nullptr),
      "ask for signals"));
  VMSILO_RETURN_IF_ERROR(
      Check(sd_bus_call_method(bus.get(), "org.freedesktop.systemd1",
                               "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", "Subscribe",
                               nullptr, nullptr, nullptr),
            "subscribe to systemd"));
  return UnitEvents(std::move(bus));
}

absl::StatusOr<bool> UnitEvents::Drain() {
  bool is_any = false;
  while (true) {
    const int processed = sd_bus_process(bus_.get(), nullptr);
    VMSILO_RETURN_IF_ERROR(Check(processed, "read from systemd"));
    if (processed == 0) return is_any;
    is_any = true;
  }
}

absl::Status UnitEvents::Wait(absl::Duration duration) {
  return Check(
      sd_bus_wait(bus_.get(),
                  static_cast<uint64_t>(absl::ToInt64Microseconds(duration))),
      "wait for systemd");
}

}  // namespace vmsilo::lab
