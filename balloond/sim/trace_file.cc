#include "balloond/sim/trace_file.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/trace.h"
#include "common/decimal.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/status_macros.h"

namespace vmsilo::balloond::sim {
namespace {

constexpr absl::string_view kHeading = "vmsilo-trace 1";
constexpr size_t kMaxName = 64;

using Words = std::vector<absl::string_view>;

// In thousandths, so that what is printed is what is read.
absl::StatusOr<double> ParseAmount(absl::string_view text, double max) {
  VMSILO_ASSIGN_OR_RETURN(const int64_t thousandths, ScaleDecimal(text, 1000));
  const double value = static_cast<double>(thousandths) / 1000;
  if (value > max) {
    return absl::ResourceExhaustedError(
        absl::StrCat(text, " is more than ", max));
  }
  return value;
}

absl::StatusOr<double> ParseTime(absl::string_view text) {
  return ParseAmount(text, kMaxTraceSeconds);
}

absl::StatusOr<std::string> ParseName(absl::string_view text) {
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
      });
  if (text.empty() || text.size() > kMaxName || !is_plain) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(text.substr(0, kMaxName)), " is no name: expected at most ",
        kMaxName, " letters, digits, dots, dashes and underscores"));
  }
  return std::string(text);
}

// "FROM-TO", several separated by commas.
absl::StatusOr<std::vector<Span>> ParseSpans(absl::string_view text) {
  std::vector<Span> spans;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    if (ends.size() != 2) {
      return absl::InvalidArgumentError("expected a span as 30-90");
    }
    Span span;
    VMSILO_ASSIGN_OR_RETURN(span.from, ParseTime(ends[0]));
    VMSILO_ASSIGN_OR_RETURN(span.to, ParseTime(ends[1]));
    if (span.to <= span.from ||
        (!spans.empty() && span.from < spans.back().to)) {
      return absl::InvalidArgumentError(
          absl::StrCat(part,
                       " does not end after it begins, or begins before "
                       "the last one ended"));
    }
    spans.push_back(span);
  }
  return spans;
}

absl::Status ExpectWords(const Words& words, size_t count,
                         absl::string_view form) {
  if (words.size() == count) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("expected: ", form));
}

class Reader {
 public:
  absl::Status ReadLine(const Words& words);
  absl::StatusOr<Trace> Finish() &&;

 private:
  absl::Status ReadVm(const Words& words);
  absl::Status ReadUse(const Words& words);
  absl::Status ReadHost(const Words& words);
  absl::Status ReadOnce(absl::string_view key);

  Trace trace_{.name = "trace"};
  std::set<std::string, std::less<>> seen_;
};

absl::Status Reader::ReadOnce(absl::string_view key) {
  if (seen_.emplace(key).second) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(key, " is there twice"));
}

absl::Status SetVmProperty(absl::string_view key, absl::string_view value,
                           VmTrace* vm) {
  if (key == "memory") {
    VMSILO_ASSIGN_OR_RETURN(vm->memory, ParseAmount(value, kMaxTraceAmount));
  } else if (key == "start") {
    VMSILO_ASSIGN_OR_RETURN(vm->start, ParseTime(value));
  } else if (key == "end") {
    VMSILO_ASSIGN_OR_RETURN(vm->end, ParseTime(value));
  } else if (key == "frozen") {
    VMSILO_ASSIGN_OR_RETURN(vm->frozen_from, ParseTime(value));
  } else if (key == "suspended") {
    VMSILO_ASSIGN_OR_RETURN(vm->suspended, ParseSpans(value));
  } else if (key == "driver" && value == "no") {
    vm->has_driver = false;
  } else if (key == "exempt" && value == "yes") {
    vm->is_exempt = true;
  } else if (key == "reports" && value == "nothing-free") {
    vm->lie = Lie::kPoor;
  } else if (key == "reports" && value == "all-free") {
    vm->lie = Lie::kRich;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(absl::StrCat(key, "=", value).substr(0, kMaxName)),
        " is unknown; there are memory=MIB, start=T, end=T, "
        "driver=no, frozen=T, suspended=FROM-TO, reports=nothing-free, "
        "reports=all-free and exempt=yes"));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadVm(const Words& words) {
  if (words.size() < 2) return ExpectWords(words, 2, "vm NAME KEY=VALUE…");
  if (trace_.vms.size() == kMaxTraceVms) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxTraceVms, " VMs"));
  }
  VmTrace vm;
  VMSILO_ASSIGN_OR_RETURN(vm.name, ParseName(words[1]));
  VMSILO_RETURN_IF_ERROR(ReadOnce(absl::StrCat("vm ", vm.name)));
  std::set<absl::string_view> keys;
  for (size_t i = 2; i < words.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> property =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    if (!keys.insert(property.first).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(Quoted(property.first), " is there twice"));
    }
    VMSILO_RETURN_IF_ERROR(SetVmProperty(property.first, property.second, &vm));
  }
  // The kernel's own use and its watermarks must fit in.
  if (vm.memory < 256) {
    return absl::InvalidArgumentError("a VM has at least memory=256");
  }
  if (vm.end <= vm.start) {
    return absl::InvalidArgumentError("the VM ends before it starts");
  }
  trace_.vms.push_back(std::move(vm));
  return absl::OkStatus();
}

absl::Status Reader::ReadUse(const Words& words) {
  VMSILO_RETURN_IF_ERROR(ExpectWords(words, 6, "use VM TIME ANON HOT IO"));
  const auto vm =
      std::find_if(trace_.vms.begin(), trace_.vms.end(),
                   [&](const VmTrace& each) { return each.name == words[1]; });
  if (vm == trace_.vms.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no line before says: vm ", Escaped(words[1].substr(0, kMaxName))));
  }
  Use use;
  VMSILO_ASSIGN_OR_RETURN(use.time, ParseTime(words[2]));
  VMSILO_ASSIGN_OR_RETURN(use.anon, ParseAmount(words[3], kMaxTraceAmount));
  VMSILO_ASSIGN_OR_RETURN(use.hot, ParseAmount(words[4], kMaxTraceAmount));
  VMSILO_ASSIGN_OR_RETURN(use.io, ParseAmount(words[5], kMaxTraceAmount));
  if (!vm->uses.empty() && use.time <= vm->uses.back().time) {
    return absl::InvalidArgumentError("not later than the line before of it");
  }
  vm->uses.push_back(use);
  return absl::OkStatus();
}

absl::Status Reader::ReadHost(const Words& words) {
  VMSILO_RETURN_IF_ERROR(ExpectWords(words, 3, "host TIME MIB"));
  HostUse use;
  VMSILO_ASSIGN_OR_RETURN(use.time, ParseTime(words[1]));
  VMSILO_ASSIGN_OR_RETURN(use.used, ParseAmount(words[2], kMaxTraceAmount));
  if (!trace_.host.empty() && use.time <= trace_.host.back().time) {
    return absl::InvalidArgumentError("not later than the line before of it");
  }
  trace_.host.push_back(use);
  return absl::OkStatus();
}

absl::Status Reader::ReadLine(const Words& words) {
  const absl::string_view key = words[0];
  if (key == "vm") return ReadVm(words);
  if (key == "use") return ReadUse(words);
  if (key == "host") return ReadHost(words);
  if (key != "name" && key != "duration" && key != "daemon-down" &&
      key != "ratio") {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(key.substr(0, kMaxName)),
        " is unknown; a line begins with name, duration, vm, use, host, "
        "daemon-down or ratio"));
  }
  VMSILO_RETURN_IF_ERROR(ReadOnce(key));
  VMSILO_RETURN_IF_ERROR(ExpectWords(words, 2, absl::StrCat(key, " VALUE")));
  if (key == "name") {
    VMSILO_ASSIGN_OR_RETURN(trace_.name, ParseName(words[1]));
  } else if (key == "duration") {
    VMSILO_ASSIGN_OR_RETURN(trace_.duration, ParseTime(words[1]));
  } else if (key == "daemon-down") {
    VMSILO_ASSIGN_OR_RETURN(trace_.daemon_down, ParseSpans(words[1]));
  } else {
    VMSILO_ASSIGN_OR_RETURN(trace_.fixed_ratio, ParseAmount(words[1], 100));
  }
  return absl::OkStatus();
}

absl::StatusOr<Trace> Reader::Finish() && {
  if (trace_.duration < 1) {
    return absl::InvalidArgumentError("no line says: duration SECONDS");
  }
  if (trace_.vms.empty()) {
    return absl::InvalidArgumentError("no line says: vm NAME");
  }
  if (trace_.duration * static_cast<double>(trace_.vms.size()) >
      kMaxTraceVmSeconds) {
    return absl::ResourceExhaustedError(
        "too long for so many VMs; cut it into pieces");
  }
  for (const VmTrace& vm : trace_.vms) {
    if (vm.uses.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("no line says: use ", vm.name));
    }
  }
  return std::move(trace_);
}

}  // namespace

absl::StatusOr<Trace> ParseTrace(absl::string_view text) {
  if (text.size() > kMaxTraceBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", kMaxTraceBytes, " bytes"));
  }
  Reader reader;
  int number = 0;
  bool has_heading = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const absl::string_view content =
        absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (content.empty()) continue;
    const absl::string_view where = "line ";
    if (!has_heading) {
      if (content != kHeading) {
        return absl::InvalidArgumentError(
            absl::StrCat(where, number, ": expected: ", kHeading));
      }
      has_heading = true;
      continue;
    }
    const absl::Status status = reader.ReadLine(absl::StrSplit(
        content, absl::ByAnyChar(" \t\r\v\f"), absl::SkipEmpty()));
    if (!status.ok()) return Annotate(status, absl::StrCat(where, number));
  }
  if (!has_heading) {
    return absl::InvalidArgumentError(absl::StrCat("expected: ", kHeading));
  }
  return std::move(reader).Finish();
}

namespace {

std::string Amount(double value) {
  std::string text = absl::StrFormat("%.3f", value);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string SpansText(const std::vector<Span>& spans) {
  std::string text;
  for (const Span& span : spans) {
    absl::StrAppend(&text, text.empty() ? "" : ",", Amount(span.from), "-",
                    Amount(span.to));
  }
  return text;
}

}  // namespace

std::string FormatTrace(const Trace& trace) {
  std::string text = absl::StrCat(kHeading, "\nname ", trace.name,
                                  "\nduration ", Amount(trace.duration), "\n");
  if (trace.fixed_ratio > 0) {
    absl::StrAppend(&text, "ratio ", Amount(trace.fixed_ratio), "\n");
  }
  if (!trace.daemon_down.empty()) {
    absl::StrAppend(&text, "daemon-down ", SpansText(trace.daemon_down), "\n");
  }
  for (const HostUse& use : trace.host) {
    absl::StrAppend(&text, "host ", Amount(use.time), " ", Amount(use.used),
                    "\n");
  }
  for (const VmTrace& vm : trace.vms) {
    absl::StrAppend(&text, "vm ", vm.name, " memory=", Amount(vm.memory));
    if (vm.start > 0) absl::StrAppend(&text, " start=", Amount(vm.start));
    if (vm.end < kNever) absl::StrAppend(&text, " end=", Amount(vm.end));
    if (!vm.has_driver) text += " driver=no";
    if (vm.frozen_from < kNever) {
      absl::StrAppend(&text, " frozen=", Amount(vm.frozen_from));
    }
    if (!vm.suspended.empty()) {
      absl::StrAppend(&text, " suspended=", SpansText(vm.suspended));
    }
    if (vm.lie == Lie::kPoor) text += " reports=nothing-free";
    if (vm.lie == Lie::kRich) text += " reports=all-free";
    if (vm.is_exempt) text += " exempt=yes";
    text += '\n';
    for (const Use& use : vm.uses) {
      absl::StrAppend(&text, "use ", vm.name, " ", Amount(use.time), " ",
                      Amount(use.anon), " ", Amount(use.hot), " ",
                      Amount(use.io), "\n");
    }
  }
  return text;
}

}  // namespace vmsilo::balloond::sim
