#include "balloond/sim/trace.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vmsilo::balloond::sim {
namespace {

bool IsIn(const std::vector<Span>& spans, double time) {
  for (const Span& span : spans) {
    if (time >= span.from && time < span.to) return true;
  }
  return false;
}

// Where `time` lies between two points: the index of the first and how far
// it is to the second.
template <typename Point>
class Cursor {
 public:
  explicit Cursor(const std::vector<Point>& points) : points_(points) {}

  // Times must not fall.
  void MoveTo(double time) {
    while (next_ < points_.size() && points_[next_].time <= time) ++next_;
    if (next_ == 0 || next_ == points_.size()) {
      share_ = 0;
    } else {
      share_ = (time - before().time) / (after().time - before().time);
    }
  }
  const Point& before() const { return points_[next_ == 0 ? 0 : next_ - 1]; }
  const Point& after() const {
    return points_[next_ == points_.size() ? next_ - 1 : next_];
  }
  double Between(double Point::*value) const {
    return before().*value + share_ * (after().*value - before().*value);
  }

 private:
  const std::vector<Point>& points_;
  size_t next_ = 0;
  double share_ = 0;
};

}  // namespace

Timeline::Timeline(const Trace& trace, int64_t step_usec)
    : trace_(trace),
      step_usec_(step_usec),
      steps_(static_cast<int>(
          std::ceil(trace.duration * 1e6 / static_cast<double>(step_usec)))),
      vms_(static_cast<int>(trace.vms.size())),
      demands_(static_cast<size_t>(steps_) * vms_),
      host_(steps_) {
  for (int vm = 0; vm < vms_; ++vm) {
    const VmTrace& from = trace_.vms[vm];
    if (from.uses.empty()) continue;
    Cursor<Use> cursor(from.uses);
    for (int step = 0; step < steps_; ++step) {
      const double time = static_cast<double>(step * step_usec_) / 1e6;
      cursor.MoveTo(time);
      demands_[static_cast<size_t>(step) * vms_ + vm] = {
          .anon = cursor.Between(&Use::anon),
          .hot = cursor.Between(&Use::hot),
          .io = cursor.before().io,
          .is_on = time >= from.start && time < from.end,
          .is_suspended = IsIn(from.suspended, time),
      };
    }
  }
  if (trace_.host.empty()) return;
  Cursor<HostUse> cursor(trace_.host);
  for (int step = 0; step < steps_; ++step) {
    cursor.MoveTo(static_cast<double>(step * step_usec_) / 1e6);
    host_[step] = cursor.Between(&HostUse::used);
  }
}

}  // namespace vmsilo::balloond::sim
