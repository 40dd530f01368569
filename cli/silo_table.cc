#include "cli/silo_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "balloon/message.h"
#include "cli/balloon_table.h"
#include "cli/explain.h"
#include "cli/service_manager.h"
#include "common/escape.h"
#include "common/json.h"
#include "common/parse_size.h"
#include "common/value.h"
#include "config/config.h"
#include "console/message.h"
#include "hypervisor/client.h"

namespace vmsilo::cli {
namespace {

constexpr size_t kColumns = 5;
using Row = std::array<std::string, kColumns>;

std::string StateText(const Silo& silo) {
  if (silo.vm_unit.load_state == "not-found") return "not installed";
  return std::string(ToString(StateOf(silo.vm_unit)));
}

// As people say it, and not to the second.
std::string AgoText(absl::Duration span) {
  const int64_t minutes = absl::ToInt64Minutes(span);
  if (minutes < 1) return absl::StrCat(absl::ToInt64Seconds(span), " s");
  if (minutes < 60) return absl::StrCat(minutes, " min");
  if (minutes < 48 * 60) {
    return absl::StrCat(minutes / 60, " h ", minutes % 60, " min");
  }
  return absl::StrCat(minutes / (24 * 60), " days");
}

// FormatSize() is exact; what a process uses is not worth its digits.
std::string RoughSize(uint64_t bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  if (bytes < 10 * kMiB) {
    return absl::StrFormat("%.1fM", static_cast<double>(bytes) / kMiB);
  }
  if (bytes < 10 * 1024 * kMiB) return absl::StrCat(bytes / kMiB, "M");
  return absl::StrFormat("%.1fG", static_cast<double>(bytes) / kMiB / 1024);
}

void AddLine(absl::string_view label, absl::string_view text,
             std::string* out) {
  absl::StrAppendFormat(out, "  %-12s %s\n", label, text);
}

std::string UnitText(const UnitState& unit) {
  std::string text = absl::StrCat(unit.name, ": ", unit.active_state);
  if (!unit.sub_state.empty())
    absl::StrAppend(&text, " (", unit.sub_state, ")");
  return text;
}

absl::string_view WordOf(hypervisor::VmStatus::State state) {
  using State = hypervisor::VmStatus::State;
  switch (state) {
    case State::kRunning:
      return "running";
    case State::kPaused:
      return "paused";
    case State::kShutDown:
      return "shut down";
    case State::kFailed:
      return "failed";
    case State::kNone:
      return "absent";
    case State::kOther:
      break;
  }
  return "unknown";
}

Row RowOf(const Silo& silo) {
  Row row = {silo.name, StateText(silo), "-", "-", "-"};
  if (silo.configured) {
    row[2] = std::string(config::ToString(silo.configured->hypervisor));
    row[3] = absl::StrCat(silo.configured->cid);
    row[4] = FormatSize(silo.configured->memory);
  }
  return row;
}

// In a word, for programs, and for people.
struct NoRelay {
  absl::string_view word;
  std::string text;
};

NoRelay WhyNoRelay(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnavailable:
      return {"absent", "its relay does not run"};
    case absl::StatusCode::kPermissionDenied:
      return {"forbidden", "only the desktop user and root may ask its relay"};
    case absl::StatusCode::kDeadlineExceeded:
      return {"silent", "its relay does not answer"};
    default:
      return {"failed", absl::StrCat("its relay: ", status.message())};
  }
}

// Without where nothing is lost: then it is not worth a line.
std::string LossText(const console::Status& console) {
  std::vector<std::string> losses;
  const auto add = [&losses](uint64_t bytes, absl::string_view what) {
    if (bytes > 0) losses.push_back(absl::StrCat(bytes, " bytes ", what));
  };
  add(console.to_guest_lost, "typed while no machine was connected");
  add(console.terminal_lost, "not read from the terminal in time");
  add(console.log_lost, "not written to the log");
  return absl::StrJoin(losses, ", ");
}

void AddConsole(const absl::StatusOr<console::Status>& console,
                std::string* out) {
  if (!console.ok()) {
    return AddLine("console", WhyNoRelay(console.status()).text, out);
  }
  std::string text =
      console->has_guest ? "machine connected" : "no machine connected";
  absl::StrAppend(&text, ", ", console->viewers,
                  console->viewers == 1 ? " viewer" : " viewers",
                  console->has_writer ? ", one of them types" : "",
                  console->is_terminal_open ? ", terminal open" : "");
  AddLine("console", text, out);
  AddLine("",
          absl::StrCat(console->from_guest, " bytes from the guest, ",
                       console->to_guest, " to it"),
          out);
  const std::string losses = LossText(*console);
  if (!losses.empty()) AddLine("", absl::StrCat("lost: ", losses), out);
}

Value ConsoleJson(const absl::StatusOr<console::Status>& console) {
  Value::Table table;
  const auto add = [&table](absl::string_view key, Value value) {
    table.push_back({std::string(key), {}, std::move(value)});
  };
  if (!console.ok()) {
    add("relay", Value(std::string(WhyNoRelay(console.status()).word)));
    return Value(std::move(table));
  }
  const auto number = [&add](absl::string_view key, uint64_t value) {
    add(key, Value(static_cast<int64_t>(value)));
  };
  add("relay", Value(std::string("running")));
  add("connected", Value(console->has_guest));
  add("terminalOpen", Value(console->is_terminal_open));
  add("hasWriter", Value(console->has_writer));
  number("viewers", console->viewers);
  number("bytesFromGuest", console->from_guest);
  number("bytesToGuest", console->to_guest);
  number("bytesToGuestLost", console->to_guest_lost);
  number("bytesTerminalLost", console->terminal_lost);
  number("bytesLogLost", console->log_lost);
  number("connections", console->guest_connections);
  number("scrollbackBytes", console->scrollback);
  return Value(std::move(table));
}

Value BalloonJson(const balloon::Status::Vm& vm) {
  Value::Table table;
  const auto add = [&table](absl::string_view key, Value value) {
    table.push_back({std::string(key), {}, std::move(value)});
  };
  const auto number = [&add](absl::string_view key,
                             const std::optional<int64_t>& value) {
    if (value) add(key, Value(*value));
  };
  add("managed", Value(vm.is_managed));
  add("reason", Value(vm.reason));
  if (!vm.excluded.empty()) add("excluded", Value(vm.excluded));
  if (!vm.error.empty()) add("error", Value(vm.error));
  number("balloonBytes", vm.balloon);
  number("targetBytes", vm.target);
  number("fixedBytes", vm.fixed);
  number("freeBytes", vm.free);
  number("cachesBytes", vm.caches);
  number("availableBytes", vm.available);
  number("residentBytes", vm.resident);
  number("oomKills", vm.oom_kills);
  return Value(std::move(table));
}

}  // namespace

std::string Coloured(absl::string_view text, absl::string_view colour,
                     Colours colours) {
  uint32_t rgb = 0;
  if (colours == Colours::kNone || colour.size() != 7 || colour[0] != '#' ||
      !absl::SimpleHexAtoi(colour.substr(1), &rgb)) {
    return std::string(text);
  }
  const uint32_t red = rgb >> 16;
  const uint32_t green = (rgb >> 8) & 0xff;
  const uint32_t blue = rgb & 0xff;
  if (colours == Colours::kTrueColour) {
    return absl::StrFormat("\x1b[1;38;2;%d;%d;%dm%s\x1b[0m", red, green, blue,
                           text);
  }
  // The cube of 6 x 6 x 6 colours that begins at 16.
  const auto level = [](uint32_t value) { return (value * 5 + 127) / 255; };
  return absl::StrFormat("\x1b[1;38;5;%dm%s\x1b[0m",
                         16 + 36 * level(red) + 6 * level(green) + level(blue),
                         text);
}

std::string ListText(absl::Span<const Silo> silos, Colours colours) {
  const Row header = {"NAME", "STATE", "HYPERVISOR", "CID", "MEMORY"};
  std::vector<Row> rows = {header};
  for (const Silo& silo : silos) rows.push_back(RowOf(silo));
  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (size_t line = 0; line < rows.size(); ++line) {
    const Row& row = rows[line];
    for (size_t i = 0; i < kColumns; ++i) {
      // The colour's bytes take no room on the screen.
      const bool is_name = i == 0 && line > 0 && silos[line - 1].configured;
      out += is_name
                 ? Coloured(row[i], silos[line - 1].configured->color, colours)
                 : row[i];
      if (i + 1 < kColumns) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string StatusText(absl::Span<const Silo> silos, absl::Time now,
                       absl::TimeZone zone, Colours colours) {
  std::string out;
  for (const Silo& silo : silos) {
    if (!out.empty()) out += '\n';
    const UnitState& unit = silo.vm_unit;
    out += silo.configured
               ? Coloured(silo.name, silo.configured->color, colours)
               : silo.name;
    absl::StrAppend(&out, "  ", StateText(silo));
    if (unit.active_since) {
      absl::StrAppend(
          &out, " since ",
          absl::FormatTime("%Y-%m-%d %H:%M:%S", *unit.active_since, zone), " (",
          AgoText(now - *unit.active_since), ")");
    }
    out += '\n';
    const std::string failure = FailureOf(unit);
    if (StateOf(unit) == SiloState::kFailed && !failure.empty()) {
      AddLine("reason", absl::StrCat(unit.name, " ", failure), &out);
    }
    if (!unit.load_error.empty()) AddLine("reason", unit.load_error, &out);
    if (!unit.status_text.empty()) {
      AddLine("says", Escaped(unit.status_text), &out);
    }
    if (silo.configured) {
      const config::Vm& vm = *silo.configured;
      if (vm.description)
        AddLine("description", Escaped(*vm.description), &out);
      std::string hypervisor(config::ToString(vm.hypervisor));
      if (silo.vm && !silo.vm->version.empty()) {
        absl::StrAppend(&hypervisor, " ", Escaped(silo.vm->version));
      }
      if (unit.main_pid) {
        absl::StrAppend(&hypervisor, ", process ", *unit.main_pid);
      }
      AddLine("hypervisor", hypervisor, &out);
      AddLine("CID", absl::StrCat(vm.cid), &out);
      std::string memory = FormatSize(vm.memory);
      if (silo.vm && silo.vm->memory && *silo.vm->memory < vm.memory) {
        absl::StrAppend(&memory, ", of which the guest has ",
                        FormatSize(*silo.vm->memory));
      }
      AddLine("memory", memory, &out);
    }
    if (silo.vm) {
      std::string guest(WordOf(silo.vm->state));
      if (silo.vm->state == hypervisor::VmStatus::State::kOther) {
        guest = Escaped(silo.vm->word);
      }
      AddLine("machine", guest, &out);
    }
    if (unit.memory_bytes) {
      AddLine(
          "uses",
          absl::StrCat(RoughSize(*unit.memory_bytes), " of the host's memory"),
          &out);
    }
    if (silo.balloon) AddLine("balloon", BalloonLine(*silo.balloon), &out);
    if (silo.connections > 0) {
      AddLine("commands", absl::StrCat(silo.connections, " running"), &out);
    }
    if (silo.console) AddConsole(*silo.console, &out);
    absl::string_view label = "units";
    for (const UnitState& other : silo.other_units) {
      if (other.load_state == "not-found") continue;
      AddLine(label, UnitText(other), &out);
      label = "";
    }
    if (unit.needs_reload) {
      AddLine("note",
              "the unit's file has changed; run 'systemctl "
              "daemon-reload' as root",
              &out);
    }
  }
  return out;
}

std::string ListJson(absl::Span<const Silo> silos) {
  const auto integer = [](auto value) {
    return Value(static_cast<int64_t>(value));
  };
  Value::Array array;
  for (const Silo& silo : silos) {
    Value::Table table;
    const auto add = [&table](absl::string_view key, Value value) {
      table.push_back({std::string(key), {}, std::move(value)});
    };
    const UnitState& unit = silo.vm_unit;
    add("name", Value(silo.name));
    add("state", Value(StateText(silo)));
    add("unit", Value(unit.name));
    const std::string failure = FailureOf(unit);
    if (!failure.empty()) add("failure", Value(failure));
    if (unit.main_pid) add("pid", integer(*unit.main_pid));
    if (unit.memory_bytes) add("memoryUsedBytes", integer(*unit.memory_bytes));
    if (unit.active_since) {
      add("since", Value(absl::FormatTime(absl::RFC3339_sec, *unit.active_since,
                                          absl::UTCTimeZone())));
    }
    if (silo.configured) {
      const config::Vm& vm = *silo.configured;
      add("hypervisor", Value(std::string(config::ToString(vm.hypervisor))));
      add("cid", integer(vm.cid));
      add("color", Value(vm.color));
      add("memoryBytes", integer(vm.memory.count()));
      add("cpus", integer(vm.cpus));
    }
    if (silo.vm) {
      add("machine", Value(std::string(WordOf(silo.vm->state))));
      if (silo.vm->memory) {
        add("guestMemoryBytes", integer(silo.vm->memory->count()));
      }
    }
    if (silo.balloon) add("balloon", BalloonJson(*silo.balloon));
    if (silo.connections > 0) add("commands", integer(silo.connections));
    if (silo.console) add("console", ConsoleJson(*silo.console));
    Value::Array units;
    for (const UnitState& other : silo.other_units) {
      if (other.load_state == "not-found") continue;
      Value::Table row;
      row.push_back({"name", {}, Value(other.name)});
      row.push_back({"active", {}, Value(other.active_state)});
      row.push_back({"sub", {}, Value(other.sub_state)});
      units.push_back(Value(std::move(row)));
    }
    if (!units.empty()) add("units", Value(std::move(units)));
    array.push_back(Value(std::move(table)));
  }
  return absl::StrCat(ToJson(Value(std::move(array)), /*indent=*/2), "\n");
}

}  // namespace vmsilo::cli
