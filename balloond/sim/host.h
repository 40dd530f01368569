#pragma once

namespace vmsilo::balloond::sim {

struct HostOptions {
  double memory = 16384;  // MiB
  double swap = 0;        // MiB
};

// The machine below the guests: how much is free, and how much it hurts.
class Host {
 public:
  explicit Host(const HostOptions& options);

  // One step of `dt` seconds. `used` is what other programs have, `resident`
  // what the VMs have.
  void Step(double used, double resident, double dt);

  double memory() const { return memory_; }
  double free() const { return free_; }
  // What MemAvailable would say, and be 0 where this is negative.
  double available() const;
  // The share of the last step in which some program waited for memory.
  double stall() const { return stall_; }
  bool is_out_of_memory() const { return is_out_of_memory_; }

  // /proc/pressure/memory, "some": seconds, and percent.
  double pressure_total() const { return pressure_total_; }
  double pressure_avg10() const { return avg10_; }

 private:
  double memory_;
  double swap_;
  double cache_;
  double swap_used_ = 0;
  double free_;
  double stall_ = 0;
  bool is_out_of_memory_ = false;
  double pressure_total_ = 0;
  double avg10_ = 0;
  // Of the kernel's averaging, which runs every two seconds.
  double until_average_ = 2;
  double total_at_average_ = 0;
};

// A trigger on the host's pressure, as the kernel checks it: the growth of
// the total within a window, of which what lies before is estimated from the
// window before; at most one event in a window; only while the total grows.
class PressureTrigger {
 public:
  // Seconds. `stall` of 0 never fires.
  PressureTrigger(double stall, double window)
      : stall_(stall), window_(window) {}

  // Whether there is an event. The kernel looks ten times in a window if
  // whoever set the trigger may; the model at every step.
  bool Check(double now, double total);

 private:
  double stall_;
  double window_;
  double window_start_ = 0;
  double window_total_ = 0;
  double previous_growth_ = 0;
  double last_total_ = 0;
  double last_growth_ = 0;  // when
  double last_event_ = -1e9;
};

}  // namespace vmsilo::balloond::sim
