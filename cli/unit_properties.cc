#include "cli/unit_properties.h"

#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/service_manager.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::cli {
namespace {

absl::StatusCode CodeOf(absl::string_view name) {
  struct Row {
    absl::string_view name;
    absl::StatusCode code;
  };
  static constexpr Row kRows[] = {
      {"org.freedesktop.systemd1.NoSuchUnit", absl::StatusCode::kNotFound},
      {"org.freedesktop.DBus.Error.AccessDenied",
       absl::StatusCode::kPermissionDenied},
      {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
       absl::StatusCode::kPermissionDenied},
      {"org.freedesktop.DBus.Error.ServiceUnknown",
       absl::StatusCode::kUnavailable},
      {"org.freedesktop.DBus.Error.NameHasNoOwner",
       absl::StatusCode::kUnavailable},
      {"org.freedesktop.DBus.Error.Disconnected",
       absl::StatusCode::kUnavailable},
      {"org.freedesktop.DBus.Error.NoReply",
       absl::StatusCode::kDeadlineExceeded},
      {"org.freedesktop.DBus.Error.Timeout",
       absl::StatusCode::kDeadlineExceeded},
      {"org.freedesktop.DBus.Error.UnknownObject", absl::StatusCode::kNotFound},
  };
  for (const Row& row : kRows) {
    if (name == row.name) return row.code;
  }
  // On a machine that systemd does not run the bus tries to start it.
  if (absl::StartsWith(name, "org.freedesktop.DBus.Error.Spawn.")) {
    return absl::StatusCode::kUnavailable;
  }
  if (absl::StartsWith(name, "org.freedesktop.systemd1.")) {
    return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kUnknown;
}

using Value = std::variant<std::string, uint64_t, int64_t>;
using Properties = std::map<std::string, Value>;

// The basic values of an a{sv}; others are skipped.
absl::StatusOr<Properties> ReadProperties(sd_bus_message* message) {
  Properties out;
  if (sd_bus_message_enter_container(message, 'a', "{sv}") < 0) {
    return MalformedAnswer();
  }
  for (;;) {
    const int more = sd_bus_message_enter_container(message, 'e', "sv");
    if (more < 0) return MalformedAnswer();
    if (more == 0) break;
    const char* key = nullptr;
    char type = 0;
    const char* contents = nullptr;
    if (sd_bus_message_read(message, "s", &key) < 0 ||
        sd_bus_message_peek_type(message, &type, &contents) < 0 ||
        type != 'v' || contents == nullptr) {
      return MalformedAnswer();
    }
    const absl::string_view signature = contents;
    if (signature == "s" || signature == "o") {
      const char* value = nullptr;
      if (sd_bus_message_read(message, "v", contents, &value) < 0) {
        return MalformedAnswer();
      }
      out[key] = std::string(value);
    } else if (signature == "t") {
      uint64_t value = 0;
      if (sd_bus_message_read(message, "v", "t", &value) < 0) {
        return MalformedAnswer();
      }
      out[key] = value;
    } else if (signature == "u") {
      uint32_t value = 0;
      if (sd_bus_message_read(message, "v", "u", &value) < 0) {
        return MalformedAnswer();
      }
      out[key] = uint64_t{value};
    } else if (signature == "i") {
      int32_t value = 0;
      if (sd_bus_message_read(message, "v", "i", &value) < 0) {
        return MalformedAnswer();
      }
      out[key] = int64_t{value};
    } else if (signature == "b") {
      int value = 0;
      if (sd_bus_message_read(message, "v", "b", &value) < 0) {
        return MalformedAnswer();
      }
      out[key] = uint64_t{value != 0};
    } else if (signature == "(ss)" && absl::string_view(key) == "LoadError") {
      const char* name = nullptr;
      const char* text = nullptr;
      if (sd_bus_message_read(message, "v", "(ss)", &name, &text) < 0) {
        return MalformedAnswer();
      }
      out[key] = std::string(text);
    } else if (sd_bus_message_skip(message, "v") < 0) {
      return MalformedAnswer();
    }
    if (sd_bus_message_exit_container(message) < 0) return MalformedAnswer();
  }
  if (sd_bus_message_exit_container(message) < 0) return MalformedAnswer();
  return out;
}

template <typename T>
std::optional<T> Get(const Properties& properties, const char* key) {
  const auto it = properties.find(key);
  if (it == properties.end()) return std::nullopt;
  if (const T* value = std::get_if<T>(&it->second)) return *value;
  return std::nullopt;
}

UnitState ToUnitState(absl::string_view name, const Properties& properties) {
  const auto text = [&properties](const char* key) {
    return Get<std::string>(properties, key).value_or("");
  };
  UnitState state;
  state.name = std::string(name);
  state.load_state = text("LoadState");
  state.load_error = text("LoadError");
  state.active_state = text("ActiveState");
  state.sub_state = text("SubState");
  state.result = text("Result");
  state.status_text = text("StatusText");
  state.fragment = text("FragmentPath");
  state.needs_reload = Get<uint64_t>(properties, "NeedDaemonReload") == 1;
  const std::optional<int64_t> code = Get<int64_t>(properties, "ExecMainCode");
  const std::optional<int64_t> status =
      Get<int64_t>(properties, "ExecMainStatus");
  if (status && code == CLD_EXITED) {
    state.exit_status = static_cast<int>(*status);
  }
  if (status && (code == CLD_KILLED || code == CLD_DUMPED)) {
    state.exit_signal = static_cast<int>(*status);
  }
  const std::optional<uint64_t> pid = Get<uint64_t>(properties, "MainPID");
  if (pid && *pid != 0) state.main_pid = static_cast<int32_t>(*pid);
  // All ones is systemd's "not known".
  const std::optional<uint64_t> memory =
      Get<uint64_t>(properties, "MemoryCurrent");
  if (memory && *memory != UINT64_MAX) state.memory_bytes = memory;
  const std::optional<uint64_t> since =
      Get<uint64_t>(properties, "ActiveEnterTimestamp");
  if (since && *since != 0 && state.active_state == "active") {
    state.active_since = absl::FromUnixMicros(static_cast<int64_t>(*since));
  }
  return state;
}

}  // namespace

absl::Status BusErrorStatus(int r, const sd_bus_error& error) {
  if (error.name == nullptr) return ErrnoStatus(-r, "system bus");
  const absl::StatusCode code = CodeOf(error.name);
  const absl::string_view text =
      error.message != nullptr ? error.message : error.name;
  if (code == absl::StatusCode::kUnavailable) {
    return absl::UnavailableError(
        absl::StrCat("systemd does not answer on the system bus: ", text));
  }
  return absl::Status(code, text);
}

absl::Status MalformedAnswer() {
  return absl::DataLossError("systemd gave an answer of an unknown form");
}

absl::StatusOr<UnitState> ReadUnitState(absl::string_view name,
                                        sd_bus_message* answer) {
  VMSILO_ASSIGN_OR_RETURN(const Properties properties, ReadProperties(answer));
  return ToUnitState(name, properties);
}

}  // namespace vmsilo::cli
