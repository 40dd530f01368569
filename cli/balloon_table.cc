#include "cli/balloon_table.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "balloon/message.h"

namespace vmsilo::cli {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;

constexpr size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

std::string Text(const std::optional<int64_t>& bytes) {
  return bytes ? MemoryText(*bytes) : "-";
}

// What the guest's programs have: all but balloon, free memory and caches.
std::optional<int64_t> Used(const balloon::Status::Vm& vm) {
  if (!vm.balloon || !vm.free) return std::nullopt;
  // A guest may make its numbers up.
  int64_t used = vm.memory;
  for (const int64_t part : {*vm.balloon, *vm.free, vm.caches.value_or(0)}) {
    if (part > used) return std::nullopt;
    used -= part;
  }
  return used;
}

Row RowOf(const balloon::Status::Vm& vm) {
  return {vm.name,           vm.memory > 0 ? MemoryText(vm.memory) : "-",
          Text(Used(vm)),    Text(vm.available),
          Text(vm.balloon),  Text(vm.target),
          Text(vm.resident), BalloonReason(vm)};
}

struct Words {
  absl::string_view reason;
  absl::string_view words;
};
constexpr Words kWords[] = {
    {"none", "not looked at yet"},
    {"balanced", "balanced"},
    {"shared", "its share has changed"},
    {"guest-short", "the guest is short"},
    {"host-short", "the host is short"},
    {"stalled", "does not follow"},
    {"blocked", "has not followed lately"},
    {"guest-refused", "took memory back"},
    {"unmanaged", "says nothing"},
    {"waiting", "new"},
    {"excluded", "left alone"},
    {"fixed", "set by a person"},
};

}  // namespace

std::string MemoryText(int64_t bytes) {
  if (bytes < 10 * kGiB) return absl::StrCat(bytes / kMiB, "M");
  return absl::StrFormat(
      "%.1fG", static_cast<double>(bytes) / static_cast<double>(kGiB));
}

std::string BalloonReason(const balloon::Status::Vm& vm) {
  std::string text = vm.reason;
  for (const Words& entry : kWords) {
    if (entry.reason == vm.reason) text = std::string(entry.words);
  }
  const std::string& why = vm.excluded.empty() ? vm.error : vm.excluded;
  if (!why.empty()) absl::StrAppend(&text, ": ", why);
  return text;
}

std::string BalloonTable(const balloon::Status& status, size_t width) {
  const balloon::Status::Host& host = status.host;
  std::vector<std::string> lines;
  lines.push_back(
      absl::StrFormat("host: %s of %s available, %s its own, pressure %.1f %%",
                      MemoryText(host.available), MemoryText(host.total),
                      MemoryText(host.critical), host.pressure));
  lines.push_back(absl::StrCat("silos may take ", MemoryText(host.exposure),
                               " more; policy ", status.policy,
                               status.is_dry_run ? ", dry run" : ""));
  lines.emplace_back();
  std::vector<Row> rows = {{"SILO", "MEMORY", "USED", "AVAILABLE", "BALLOON",
                            "TARGET", "OCCUPIES", "WHY"}};
  for (const balloon::Status::Vm& vm : status.vms) rows.push_back(RowOf(vm));
  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      // Amounts end below each other.
      if (i == 0) {
        absl::StrAppend(&line, row[i], gap, "  ");
      } else if (i + 1 < kColumns) {
        absl::StrAppend(&line, gap, row[i], "  ");
      } else {
        line += row[i];
      }
    }
    lines.push_back(std::move(line));
  }
  std::string text;
  for (std::string& line : lines) {
    if (width > 0 && line.size() > width) line.resize(width);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string BalloonLine(const balloon::Status::Vm& vm) {
  std::string text;
  if (vm.balloon) {
    absl::StrAppend(&text, MemoryText(*vm.balloon), " given up");
    if (vm.target && *vm.target / kMiB != *vm.balloon / kMiB) {
      absl::StrAppend(&text, " (", MemoryText(*vm.target), " asked for)");
    }
    absl::StrAppend(&text, ", ");
  }
  if (const std::optional<int64_t> used = Used(vm)) {
    absl::StrAppend(&text, MemoryText(*used), " used, ");
  }
  if (vm.available) {
    absl::StrAppend(&text, MemoryText(*vm.available), " available, ");
  }
  absl::StrAppend(&text, BalloonReason(vm));
  return text;
}

}  // namespace vmsilo::cli
