#include "balloond/sim/plot.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "balloond/sim/criterion.h"
#include "balloond/sim/guest.h"
#include "balloond/sim/host.h"
#include "balloond/sim/policy.h"
#include "balloond/sim/result.h"
#include "balloond/sim/run.h"
#include "balloond/sim/suite.h"
#include "balloond/sim/trace.h"
#include "balloond/sim/world.h"

namespace vmsilo::balloond::sim {
namespace {

// Pixels.
constexpr double kWidth = 760;
constexpr double kHeight = 220;  // of one policy
constexpr double kLeft = 60;
constexpr double kTop = 34;
constexpr double kGap = 56;
constexpr double kHarmHeight = 6;

// Readable on white and on black.
constexpr absl::string_view kHead =
    "<style>"
    "text{font:12px sans-serif;fill:#777}"
    ".name{font-size:14px;font-weight:bold}"
    ".axis{stroke:#999;stroke-width:1;fill:none}"
    ".programs{fill:#8a8a8a}.need{fill:#2f7fbf}.more{fill:#9cc9ea}"
    ".limit{stroke:#777;stroke-dasharray:5 3}"
    ".harm{fill:#d62728}"
    "</style>\n";

struct Moment {
  double programs = 0;
  double need = 0;      // of all guests
  double resident = 0;  // of all guests
  bool is_harm = false;
};

class Panel {
 public:
  Panel(double top, double memory, double duration)
      : top_(top), memory_(memory), duration_(duration) {}

  std::string Draw(absl::string_view name, const RunResult& result,
                   const std::vector<Moment>& moments,
                   double step_seconds) const;

 private:
  double X(double time) const {
    return kLeft + time / duration_ * (kWidth - kLeft);
  }
  // A little more than there is fits in.
  double Y(double amount) const {
    return top_ + kHeight - amount / (1.08 * memory_) * kHeight;
  }
  std::string Axes() const;
  template <typename Amount>
  std::string Area(absl::string_view style, const std::vector<Moment>& moments,
                   double step_seconds, Amount amount) const;
  std::string Harm(const std::vector<Moment>& moments,
                   double step_seconds) const;

  double top_;
  double memory_;
  double duration_;
};

std::string Panel::Axes() const {
  std::string text;
  for (double gib = 0; gib * 1024 <= memory_; gib += 4) {
    absl::StrAppendFormat(
        &text,
        "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%.0f GiB"
        "</text>\n",
        kLeft - 6, Y(gib * 1024) + 4, gib);
  }
  for (double time = 0; time <= duration_; time += 60) {
    absl::StrAppendFormat(
        &text,
        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.0f s"
        "</text>\n",
        X(time), top_ + kHeight + 16, time);
  }
  absl::StrAppendFormat(&text,
                        "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n",
                        kLeft, top_, top_ + kHeight, kWidth);
  absl::StrAppendFormat(&text,
                        "<path class=\"axis limit\" d=\"M%.1f %.1fH%.1f\"/>\n",
                        kLeft, Y(memory_), kWidth);
  return text;
}

template <typename Amount>
std::string Panel::Area(absl::string_view style,
                        const std::vector<Moment>& moments, double step_seconds,
                        Amount amount) const {
  std::string path = absl::StrFormat("M%.1f %.1f", X(0), top_ + kHeight);
  // A point for each pixel is enough: the largest of those that fall on it.
  const auto every = static_cast<size_t>(
      std::max(1.0, duration_ / step_seconds / (kWidth - kLeft)));
  for (size_t i = 0; i < moments.size(); i += every) {
    double most = 0;
    for (size_t j = i; j < std::min(i + every, moments.size()); ++j) {
      most = std::max(most, amount(moments[j]));
    }
    absl::StrAppendFormat(&path, "L%.1f %.1f",
                          X(static_cast<double>(i) * step_seconds), Y(most));
  }
  absl::StrAppendFormat(&path, "V%.1fZ", top_ + kHeight);
  return absl::StrFormat("<path class=\"%s\" d=\"%s\"/>\n", style, path);
}

std::string Panel::Harm(const std::vector<Moment>& moments,
                        double step_seconds) const {
  std::string text;
  for (size_t i = 0; i < moments.size(); ++i) {
    if (!moments[i].is_harm) continue;
    const size_t from = i;
    while (i < moments.size() && moments[i].is_harm) ++i;
    const double x = X(static_cast<double>(from) * step_seconds);
    absl::StrAppendFormat(
        &text,
        "<rect class=\"harm\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
        "height=\"%.0f\"/>\n",
        x, top_, std::max(1.0, X(static_cast<double>(i) * step_seconds) - x),
        kHarmHeight);
  }
  return text;
}

std::string Panel::Draw(absl::string_view name, const RunResult& result,
                        const std::vector<Moment>& moments,
                        double step_seconds) const {
  const std::string ends = absl::StrFormat(
      "%d killed by guests, %d by the host, %.1f s under "
      "pressure",
      result.kills, result.host_ooms,
      result.guest_pressure_time + result.host_pressure_time);
  return absl::StrCat(
      absl::StrFormat("<text class=\"name\" x=\"%.0f\" y=\"%.1f\">%s</text>\n"
                      "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s"
                      "</text>\n",
                      kLeft, top_ - 8, name, kWidth, top_ - 8, ends),
      Area("more", moments, step_seconds,
           [](const Moment& m) { return m.programs + m.resident; }),
      Area("need", moments, step_seconds,
           [](const Moment& m) { return m.programs + m.need; }),
      Area("programs", moments, step_seconds,
           [](const Moment& m) { return m.programs; }),
      Harm(moments, step_seconds), Axes());
}

Moment Look(const World& world) {
  const int step = world.step() - 1;
  Moment moment = {.programs = world.timeline().host(step),
                   .is_harm = world.host().stall() > kHarmfulStall ||
                              world.host().is_out_of_memory()};
  for (int vm = 0; vm < world.vms(); ++vm) {
    if (!world.is_on(vm)) continue;
    const Guest& guest = world.guest(vm);
    const Demand& demand = world.timeline().at(step, vm);
    moment.need +=
        std::min(guest.memory(), Guest::kKernel + demand.anon + demand.hot);
    moment.resident += guest.resident();
    moment.is_harm |=
        guest.unmet() > 0 ||
        (guest.missing_hot() > kHarmfulMiss && guest.up_time() > kSettling);
  }
  // What is wanted and not there is no memory.
  moment.need = std::min(moment.need, moment.resident);
  return moment;
}

std::string Legend(double y) {
  constexpr struct {
    const char* style;
    const char* text;
    double x;
  } kEntries[] = {{"programs", "the host's programs", 60},
                  {"need", "what guests need", 220},
                  {"more", "what they occupy beyond that", 370},
                  {"harm", "somebody is harmed", 590}};
  std::string text;
  for (const auto& entry : kEntries) {
    absl::StrAppendFormat(
        &text,
        "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"12\" "
        "height=\"12\"/><text x=\"%.0f\" y=\"%.0f\">%s</text>\n",
        entry.style, entry.x, y, entry.x + 17, y + 10, entry.text);
  }
  return text;
}

}  // namespace

std::string Plot(const Workload& workload, const std::vector<Policy>& policies,
                 const RunOptions& options) {
  const double height =
      kTop + static_cast<double>(policies.size()) * (kHeight + kGap);
  std::string text = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "width=\"%.0f\" height=\"%.0f\">\n",
      kWidth + 20, height + 10, kWidth + 20, height + 10);
  absl::StrAppend(&text, kHead);
  double top = kTop;
  for (const Policy& policy : policies) {
    std::vector<Moment> moments;
    const RunResult result =
        Simulate(workload.timeline, policy, options,
                 [&](const World& world) { moments.push_back(Look(world)); });
    text += Panel(top, options.world.host.memory,
                  workload.timeline.trace().duration)
                .Draw(policy.name, result, moments,
                      workload.timeline.step_seconds());
    top += kHeight + kGap;
  }
  absl::StrAppend(&text, Legend(top - 22), "</svg>\n");
  return text;
}

}  // namespace vmsilo::balloond::sim
