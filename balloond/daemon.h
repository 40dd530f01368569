#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "balloond/control_socket.h"
#include "balloond/controller.h"
#include "balloond/fleet.h"
#include "balloond/host.h"
#include "balloond/journal.h"
#include "balloond/metrics.h"
#include "balloond/pressure_trigger.h"
#include "balloond/rounds.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "hypervisor/discovery.h"

namespace vmsilo::balloond {

// The parts of the program, and who tells whom what.
class Daemon final : private Rounds::Observer, private ControlSocket::Handler {
 public:
  struct Options {
    // As the command line has it, for people.
    std::string policy;
    double critical_host_percent = 5;
    bool is_dry_run = false;
    // Empty: none.
    std::string metrics_file;
    // End when each silo has been looked at twice.
    bool is_once = false;
  };
  // What was opened before the program gave its rights up.
  struct Resources {
    std::unique_ptr<Controller> controller;
    std::optional<Host> host;
    std::optional<PressureTrigger> trigger;
    UniqueFd listener;  // may be none
    std::optional<uid_t> owner;
    std::string run_dir;
    std::string wishes;
    Fleet::Roots roots;
    Fleet::MakeClient make_client;
  };

  // `loop` and `clock` are borrowed.
  Daemon(EventLoop* loop, const Clock* clock, Options options,
         Resources resources);

  absl::Status Start();

  Fleet& fleet() { return *fleet_; }

  // What finds the silos, which is asked to look again now and then: an event
  // is a hint, the directory is the truth. Borrowed.
  void Watch(hypervisor::Discovery* discovery) { discovery_ = discovery; }

 private:
  void OnHostError(const absl::Status& status) override;
  void OnSampleError(VmId vm, const absl::Status& status) override;
  void OnResize(const Resize& resize) override;
  void OnResizeError(VmId vm, const absl::Status& status) override;
  void OnRound(const HostReading& host) override;

  balloon::Status GetStatus() override;
  std::string GetMetrics() override;
  absl::Status Set(const balloon::SetRequest& request) override;

  absl::Status OnPressure(uint32_t events);
  int64_t Critical() const;
  int64_t Exposure() const;
  void WriteMetrics();
  void CheckDiscovery();

  EventLoop* loop_;
  const Clock* clock_;
  const Options options_;
  std::unique_ptr<Controller> controller_;
  Host host_;
  std::optional<PressureTrigger> trigger_;
  Journal journal_;
  std::optional<Rounds> rounds_;
  std::optional<Fleet> fleet_;
  std::optional<ControlSocket> socket_;

  hypervisor::Discovery* discovery_ = nullptr;
  absl::Time looked_for_silos_ = absl::InfinitePast();
  bool has_told_discovery_ = false;
  HostReading last_host_;
  Counters counters_;
  int64_t ended_rounds_ = 0;
  std::map<VmId, absl::Status> errors_;
  absl::Time metrics_written_ = absl::InfinitePast();
  bool has_told_metrics_ = false;
  std::optional<size_t> told_silos_;
  Source trigger_source_;
  Source reload_source_;
};

}  // namespace vmsilo::balloond
