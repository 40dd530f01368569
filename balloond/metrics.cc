#include "balloond/metrics.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "balloon/message.h"
#include "balloond/controller.h"

namespace vmsilo::balloond {
namespace {

constexpr Reason kReasons[] = {Reason::kShared,      Reason::kGuestShort,
                               Reason::kHostShort,   Reason::kStalled,
                               Reason::kUnmanaged,   Reason::kFixed,
                               Reason::kGuestRefused};

void AddHead(absl::string_view name, absl::string_view type,
             absl::string_view help, std::string* text) {
  absl::StrAppend(text, "# TYPE ", name, " ", type, "\n# HELP ", name, " ",
                  help, "\n");
}

std::string Label(absl::string_view name, absl::string_view value) {
  return absl::StrCat(
      "{", name, "=\"",
      absl::StrReplaceAll(value,
                          {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
      "\"}");
}

void AddCounter(absl::string_view name, absl::string_view help, uint64_t value,
                std::string* text) {
  AddHead(name, "counter", help, text);
  absl::StrAppend(text, name, "_total ", value, "\n");
}

void AddGauge(absl::string_view name, absl::string_view help, int64_t value,
              std::string* text) {
  AddHead(name, "gauge", help, text);
  absl::StrAppend(text, name, " ", value, "\n");
}

struct VmMetric {
  absl::string_view name;
  absl::string_view help;
  std::optional<int64_t> (*value)(const balloon::Status::Vm& vm);
  bool is_counter = false;
};

constexpr VmMetric kVmMetrics[] = {
    {"vmsilo_guest_memory_bytes", "RAM that the silo was started with.",
     [](const balloon::Status::Vm& vm) { return std::optional(vm.memory); }},
    {"vmsilo_guest_balloon_bytes", "What the guest has given up.",
     [](const balloon::Status::Vm& vm) { return vm.balloon; }},
    {"vmsilo_guest_balloon_target_bytes", "What it was asked to give up.",
     [](const balloon::Status::Vm& vm) { return vm.target; }},
    {"vmsilo_guest_free_bytes", "Memory that the guest does not use.",
     [](const balloon::Status::Vm& vm) { return vm.free; }},
    {"vmsilo_guest_caches_bytes", "The guest's page cache.",
     [](const balloon::Status::Vm& vm) { return vm.caches; }},
    {"vmsilo_guest_available_bytes",
     "What the guest could use without harm, in its own estimate.",
     [](const balloon::Status::Vm& vm) { return vm.available; }},
    {"vmsilo_guest_resident_bytes", "What the silo occupies on the host.",
     [](const balloon::Status::Vm& vm) { return vm.resident; }},
    {"vmsilo_guest_managed", "Whether the daemon moves the silo's balloon.",
     [](const balloon::Status::Vm& vm) {
       return std::optional<int64_t>(vm.is_managed ? 1 : 0);
     }},
    {"vmsilo_guest_oom_kills",
     "Programs that the guest has killed for want of memory.",
     [](const balloon::Status::Vm& vm) { return vm.oom_kills; },
     /*is_counter=*/true},
};

void AddVmMetric(const VmMetric& metric, const balloon::Status& status,
                 std::string* text) {
  bool has_head = false;
  for (const balloon::Status::Vm& vm : status.vms) {
    const std::optional<int64_t> value = metric.value(vm);
    if (!value) continue;
    if (!std::exchange(has_head, true)) {
      AddHead(metric.name, metric.is_counter ? "counter" : "gauge", metric.help,
              text);
    }
    absl::StrAppend(text, metric.name, metric.is_counter ? "_total" : "",
                    Label("silo", vm.name), " ", *value, "\n");
  }
}

}  // namespace

std::string MetricsText(const balloon::Status& status,
                        const Counters& counters) {
  std::string text;
  AddCounter("vmsilo_balloond_rounds", "Looks at host and guests.",
             static_cast<uint64_t>(status.rounds), &text);
  AddCounter("vmsilo_balloond_queries", "Questions to hypervisors.",
             static_cast<uint64_t>(status.queries), &text);
  AddHead("vmsilo_balloond_resizes", "counter",
          "Requests to change a balloon, by reason.", &text);
  for (const Reason reason : kReasons) {
    const auto it = counters.resizes.find(reason);
    absl::StrAppend(&text, "vmsilo_balloond_resizes_total",
                    Label("reason", ReasonName(reason)), " ",
                    it == counters.resizes.end() ? 0 : it->second, "\n");
  }
  AddCounter("vmsilo_balloond_sample_errors",
             "Questions without a usable answer.", counters.sample_errors,
             &text);
  AddCounter("vmsilo_balloond_resize_errors",
             "Requests that a hypervisor did not take.", counters.resize_errors,
             &text);
  AddCounter("vmsilo_balloond_host_errors",
             "Times that the host could not be looked at.",
             counters.host_errors, &text);
  AddCounter("vmsilo_balloond_pressure_events",
             "Times that the kernel told of memory pressure.",
             counters.pressure_events, &text);

  const balloon::Status::Host& host = status.host;
  AddGauge("vmsilo_host_memory_bytes", "The host's RAM.", host.total, &text);
  AddGauge("vmsilo_host_available_bytes",
           "What the host could hand out without harm.", host.available, &text);
  AddGauge("vmsilo_host_critical_bytes", "What the host keeps for itself.",
           host.critical, &text);
  AddGauge("vmsilo_host_exposure_bytes",
           "What guests may use and do not occupy yet.", host.exposure, &text);
  AddHead("vmsilo_host_pressure_ratio", "gauge",
          "Share of the time in which something waited for memory.", &text);
  absl::StrAppendFormat(&text, "vmsilo_host_pressure_ratio %.5f\n",
                        host.pressure / 100);

  for (const VmMetric& metric : kVmMetrics) AddVmMetric(metric, status, &text);
  text += "# EOF\n";
  return text;
}

}  // namespace vmsilo::balloond
