#include "balloond/daemon.h"

#include <sys/epoll.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "balloon/limits.h"
#include "balloon/message.h"
#include "balloond/control_socket.h"
#include "balloond/controller.h"
#include "balloond/fleet.h"
#include "balloond/journal.h"
#include "balloond/metrics.h"
#include "balloond/rounds.h"
#include "balloond/saturate.h"
#include "balloond/settings.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/event_loop.h"
#include "common/file.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/status_macros.h"
#include "config/config.h"

namespace vmsilo::balloond {
namespace {

// node_exporter is asked every 15 s by default.
constexpr absl::Duration kMetricsInterval = absl::Seconds(10);

// Between looks for silos that no event has told of.
constexpr absl::Duration kLookInterval = absl::Seconds(30);

// The first sample of a guest may be one from its boot.
constexpr int64_t kOnceRounds = 2;

// A part of the stall that a trigger fires at: the rest may have been counted
// by a look in the meantime.
constexpr int kTrueEventDivisor = 10;

}  // namespace

Daemon::Daemon(EventLoop* loop, const Clock* clock, Options options,
               Resources resources)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      controller_(std::move(resources.controller)),
      host_(*std::move(resources.host)),
      trigger_(std::move(resources.trigger)),
      journal_(clock) {
  rounds_.emplace(loop_, clock_, &host_, controller_.get(),
                  static_cast<Rounds::Observer*>(this),
                  Rounds::Options{.is_dry_run = options_.is_dry_run});
  fleet_.emplace(&*rounds_, &host_, &journal_, std::move(resources.run_dir),
                 std::move(resources.wishes), std::move(resources.roots),
                 std::move(resources.make_client));
  if (resources.listener.is_valid()) {
    socket_.emplace(loop_, std::move(resources.listener), resources.owner,
                    static_cast<ControlSocket::Handler*>(this));
  }
}

absl::Status Daemon::Start() {
  VMSILO_ASSIGN_OR_RETURN(reload_source_, loop_->AddSignal(SIGHUP, [this] {
    fleet_->Reread();
    return absl::OkStatus();
  }));
  if (trigger_) {
    VMSILO_ASSIGN_OR_RETURN(
        trigger_source_,
        loop_->AddIo(trigger_->fd(), EPOLLPRI,
                     [this](uint32_t events) { return OnPressure(events); }));
  }
  fleet_->Start();
  if (socket_) VMSILO_RETURN_IF_ERROR(socket_->Start());
  return rounds_->Start();
}

absl::Status Daemon::OnPressure(uint32_t events) {
  if ((events & EPOLLERR) != 0) {
    LOG(WARNING) << "the kernel tells of memory pressure no more, looking at "
                    "it in each round only";
    trigger_source_.Reset();
    return absl::OkStatus();
  }
  // The first one may tell of what was long ago.
  if (host_.WaitedSinceRead() < trigger_->stall() / kTrueEventDivisor) {
    return absl::OkStatus();
  }
  ++counters_.pressure_events;
  rounds_->Hurry();
  return absl::OkStatus();
}

void Daemon::OnHostError(const absl::Status& status) {
  ++counters_.host_errors;
  journal_.OnHostError(status);
}

void Daemon::OnSampleError(VmId vm, const absl::Status& status) {
  ++counters_.sample_errors;
  errors_[vm] = status;
}

void Daemon::OnResize(const Resize& resize) {
  ++counters_.resizes[resize.reason];
  const Fleet::Silo* silo = fleet_->Find(resize.vm);
  if (silo == nullptr) return;
  const std::optional<VmView> view = controller_->View(resize.vm);
  std::optional<int64_t> balloon;
  if (view && view->sample) balloon = view->sample->balloon;
  journal_.OnResize(silo->found.name, resize, balloon, options_.is_dry_run);
}

void Daemon::OnResizeError(VmId vm, const absl::Status& status) {
  ++counters_.resize_errors;
  const Fleet::Silo* silo = fleet_->Find(vm);
  if (silo != nullptr) journal_.OnResizeError(silo->found.name, status);
}

int64_t Daemon::Critical() const {
  return HostReserve(options_.critical_host_percent, last_host_.total);
}

int64_t Daemon::Exposure() const {
  int64_t exposure = 0;
  for (const auto& [name, silo] : fleet_->silos()) {
    const std::optional<VmView> view = controller_->View(silo.id);
    if (!view || !view->resident) continue;
    const int64_t balloon = view->sample ? view->sample->balloon : 0;
    exposure = SaturatingAdd(
        exposure,
        std::max<int64_t>(
            0, SaturatingSubtract(SaturatingSubtract(view->memory, balloon),
                                  *view->resident)));
  }
  return exposure;
}

void Daemon::OnRound(const HostReading& host) {
  last_host_ = host;
  ++ended_rounds_;
  std::erase_if(errors_, [this](const auto& entry) {
    return fleet_->Find(entry.first) == nullptr;
  });
  for (const auto& [name, silo] : fleet_->silos()) {
    const std::optional<VmView> view = controller_->View(silo.id);
    if (!view) continue;
    const auto error = errors_.find(silo.id);
    journal_.OnView(name, *view,
                    error == errors_.end() ? absl::OkStatus() : error->second);
    if (view->is_managed) errors_.erase(silo.id);
  }
  journal_.OnHost(host, Critical(), Exposure());
  if (const size_t count = fleet_->silos().size(); count != told_silos_) {
    told_silos_ = count;
    NotifyStatus(absl::StrCat("memory shared among ", count,
                              count == 1 ? " silo" : " silos"));
  }
  if (socket_) socket_->Publish();
  WriteMetrics();
  CheckDiscovery();
  if (options_.is_once &&
      (ended_rounds_ >= kOnceRounds || fleet_->silos().empty())) {
    loop_->Quit();
  }
}

void Daemon::CheckDiscovery() {
  if (discovery_ == nullptr) return;
  const absl::Status& status = discovery_->status();
  if (!status.ok() && !has_told_discovery_) {
    LOG(WARNING) << "not all silos may be seen: " << status.message()
                 << ", looking again every few seconds";
  }
  has_told_discovery_ = !status.ok();
  const absl::Time now = clock_->Now();
  if (now - looked_for_silos_ < kLookInterval) return;
  looked_for_silos_ = now;
  discovery_->Rescan();
}

void Daemon::WriteMetrics() {
  if (options_.metrics_file.empty()) return;
  const absl::Time now = clock_->Now();
  if (now - metrics_written_ < kMetricsInterval) return;
  metrics_written_ = now;
  const absl::Status status = WriteFileAtomically(
      options_.metrics_file, GetMetrics(), 0644, Durability::kFleeting);
  if (!status.ok() && !has_told_metrics_) {
    LOG(WARNING) << "metrics are not written: " << status.message()
                 << ", trying again";
  }
  has_told_metrics_ = !status.ok();
}

balloon::Status Daemon::GetStatus() {
  balloon::Status status;
  status.policy = options_.policy;
  status.is_dry_run = options_.is_dry_run;
  status.rounds = ended_rounds_;
  status.queries = static_cast<int64_t>(rounds_->queries());
  status.resizes = static_cast<int64_t>(rounds_->resizes());
  status.host = {.total = last_host_.total,
                 .available = last_host_.available,
                 .free = last_host_.free,
                 .critical = Critical(),
                 .pressure = last_host_.pressure,
                 .exposure = Exposure()};
  const absl::Time now = clock_->Now();
  for (const auto& [name, silo] : fleet_->silos()) {
    const std::optional<VmView> view = controller_->View(silo.id);
    if (!view) continue;
    balloon::Status::Vm vm;
    vm.name = EscapedText(name);
    vm.hypervisor = std::string(config::ToString(silo.found.hypervisor));
    vm.is_managed = view->is_managed;
    vm.reason = std::string(ReasonName(
        view->traits.is_excluded ? Reason::kExcluded : view->reason));
    vm.excluded = silo.excluded;
    if (const auto error = errors_.find(silo.id);
        error != errors_.end() && !view->is_managed) {
      vm.error = EscapedText(error->second.message());
    }
    vm.memory = view->memory;
    vm.guaranteed = view->traits.guaranteed;
    vm.target = view->target;
    vm.fixed = view->traits.fixed_balloon;
    vm.resident = view->resident;
    if (view->sample) {
      // Only what a sample of ours can be; a guest may say anything.
      const auto known = [](const std::optional<int64_t>& value) {
        return value && *value >= 0 ? value : std::nullopt;
      };
      vm.balloon = known(view->sample->balloon);
      vm.free = known(view->sample->free);
      vm.caches = known(view->sample->caches);
      vm.available = known(view->sample->available);
      vm.oom_kills = known(view->sample->oom_kills);
      vm.age = std::max<int64_t>(
          0, absl::ToInt64Milliseconds(now - view->sample->taken));
    }
    status.vms.push_back(std::move(vm));
  }
  return status;
}

std::string Daemon::GetMetrics() { return MetricsText(GetStatus(), counters_); }

absl::Status Daemon::Set(const balloon::SetRequest& request) {
  absl::Status status = fleet_->Set(request.vm, request.balloon);
  if (status.ok()) {
    LOG(INFO) << "silo " << Quoted(request.vm) << ": balloon "
              << (request.balloon ? "set by a person" : "left to the daemon");
  }
  return status;
}

}  // namespace vmsilo::balloond
