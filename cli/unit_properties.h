#pragma once

#include <systemd/sd-bus.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/service_manager.h"

// What systemd's answers on the bus mean to us.
namespace vmsilo::cli {

// The error of a call that returned `r` < 0.
absl::Status BusErrorStatus(int r, const sd_bus_error& error);

// DataLoss: an answer is not of the form that systemd documents.
absl::Status MalformedAnswer();

// The state of the unit `name`, from the answer to GetAll for all interfaces.
// What is not there stays unset.
absl::StatusOr<UnitState> ReadUnitState(absl::string_view name,
                                        sd_bus_message* answer);

}  // namespace vmsilo::cli
