#pragma once

#include <vector>

#include "balloond/sim/result.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {

// Watches a world and adds up what a run is judged by.
class Observer {
 public:
  // Both must outlive it.
  Observer(const Timeline& timeline, RunResult* result);

  // After each step of `world`.
  void Observe(const World& world);
  // At the end.
  void Finish(const World& world);

 private:
  struct Vm {
    double balloon = 0;
    // Of the balloon's motion: the last turning point, and the way since.
    double extreme = 0;
    int direction = 0;
    double lowest = 0;
    double highest = 0;
    bool is_measured = false;
    int short_since = -1;
  };
  void ObserveVm(const World& world, int index);
  // Notes how long something was below its floor.
  void NoteReaction(bool is_short, int step, int* since);

  const double dt_;
  const double half_;
  RunResult* const result_;
  std::vector<Vm> vms_;
  int host_short_since_ = -1;
};

}  // namespace vmsilo::balloond::sim
