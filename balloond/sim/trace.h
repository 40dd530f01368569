#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

// What guests and host want over time. All amounts are MiB, all times seconds
// from the start: doubles, as everything in the model.
namespace vmsilo::balloond::sim {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

// What a guest wants from a moment on.
struct Use {
  double time = 0;
  double anon = 0;  // anonymous memory; straight lines between points
  double hot = 0;   // page cache that it needs again and again; likewise
  double io = 0;    // new page cache per second; holds until the next point
};

struct HostUse {
  double time = 0;
  double used = 0;  // by programs that are no VMs; straight lines
};

struct Span {
  double from = 0;
  double to = 0;
};

enum class Lie {
  kNone,
  kPoor,  // nothing free, nothing available, for ever
  kRich,  // everything free
};

struct VmTrace {
  std::string name;
  double memory = 4096;
  double start = 0;
  double end = kNever;
  std::vector<Use> uses;  // by time; the first holds before, the last after
  bool has_driver = true;
  double frozen_from = kNever;  // the balloon moves no more
  std::vector<Span> suspended;
  Lie lie = Lie::kNone;
  // What happens to it harms nobody: it asks for more than there is, or lies.
  bool is_exempt = false;
};

struct Trace {
  std::string name;
  double duration = 0;
  std::vector<VmTrace> vms;
  std::vector<HostUse> host;
  std::vector<Span> daemon_down;
  // Run with so much memory, as a multiple of what is needed at least (H*),
  // instead of looking for the least that suffices. 0: look.
  double fixed_ratio = 0;
};

// What one guest wants in one step.
struct Demand {
  double anon = 0;
  double hot = 0;
  double io = 0;
  bool is_on = false;
  bool is_suspended = false;
};

// A trace cut into steps, once for the many runs over it.
class Timeline {
 public:
  // `step_usec` is the length of a step.
  Timeline(const Trace& trace, int64_t step_usec);

  const Trace& trace() const { return trace_; }
  int64_t step_usec() const { return step_usec_; }
  double step_seconds() const { return static_cast<double>(step_usec_) / 1e6; }
  int steps() const { return steps_; }
  int vms() const { return vms_; }
  const Demand& at(int step, int vm) const {
    return demands_[static_cast<size_t>(step) * vms_ + vm];
  }
  double host(int step) const { return host_[step]; }

 private:
  Trace trace_;
  int64_t step_usec_;
  int steps_;
  int vms_;
  std::vector<Demand> demands_;
  std::vector<double> host_;
};

}  // namespace vmsilo::balloond::sim
