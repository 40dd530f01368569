#include "balloond/journal.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/limits.h"
#include "balloond/controller.h"
#include "common/clock.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/log_limit.h"

namespace vmsilo::balloond {
namespace {

// What a guest can cause. More would only say the same.
constexpr absl::Duration kInterval = absl::Minutes(1);
// A dry run is watched by somebody.
constexpr int kDryRunBurst = 20;
constexpr absl::Duration kDryRunInterval = absl::Seconds(5);

// Guests that may ask for so many times what the host has left: a start of
// them all cannot end well.
constexpr int64_t kExposureFactor = 4;

std::string Amount(int64_t bytes) {
  return absl::StrCat(bytes / (int64_t{1} << 20), " MiB");
}

std::string Silo(const std::string& name) {
  return absl::StrCat("silo ", Quoted(name));
}

}  // namespace

Journal::Silo::Silo(const Clock* clock)
    : limit(clock, /*burst=*/1, kInterval),
      dry_run_limit(clock, kDryRunBurst, kDryRunInterval) {}

Journal::Journal(const Clock* clock)
    : Journal(clock, [](LogLevel level, const std::string& text) {
        switch (level) {
          case LogLevel::kError:
            LOG(ERROR) << text;
            return;
          case LogLevel::kWarning:
            LOG(WARNING) << text;
            return;
          case LogLevel::kInfo:
            LOG(INFO) << text;
            return;
          case LogLevel::kDebug:
          case LogLevel::kTrace:
            VLOG(1) << text;
            return;
        }
      }) {}

Journal::Journal(const Clock* clock, Write write)
    : clock_(clock),
      write_(std::move(write)),
      host_limit_(clock, /*burst=*/1, kInterval),
      host_error_limit_(clock, /*burst=*/1, kInterval) {}

Journal::Silo& Journal::Get(const std::string& name) {
  return silos_.try_emplace(name, clock_).first->second;
}

void Journal::Warn(Silo* silo, const std::string& text) {
  const std::optional<uint64_t> left_out = silo->limit.Next();
  if (!left_out) return write_(LogLevel::kDebug, text);
  write_(LogLevel::kWarning,
         *left_out == 0
             ? text
             : absl::StrCat(text, " (", *left_out, " lines left out)"));
}

void Journal::OnFound(const std::string& name, absl::string_view hypervisor,
                      absl::string_view why_not) {
  Get(name);
  write_(LogLevel::kInfo,
         why_not.empty()
             ? absl::StrCat(balloond::Silo(name), " runs under ", hypervisor,
                            ", its memory takes part")
             : absl::StrCat(balloond::Silo(name), " runs under ", hypervisor,
                            ", its memory is left alone: ", why_not));
}

void Journal::OnLost(const std::string& name) {
  if (silos_.erase(name) > 0) {
    write_(LogLevel::kInfo, absl::StrCat(balloond::Silo(name), " has ended"));
  }
}

void Journal::OnTooMany(const std::string& name) {
  if (std::exchange(has_told_too_many_, true)) return;
  write_(LogLevel::kWarning, absl::StrCat(balloond::Silo(name),
                                          " and those that come after it are "
                                          "left alone: there are ",
                                          balloon::kMaxVms, " already"));
}

void Journal::OnFileError(const std::string& name, const absl::Status& status) {
  Warn(&Get(name), absl::StrCat(balloond::Silo(name), ": ", status.message(),
                                ", leaving its memory alone"));
}

void Journal::OnView(const std::string& name, const VmView& view,
                     const absl::Status& error) {
  Silo& silo = Get(name);
  if (view.is_managed) {
    if (silo.has_told_silence) {
      write_(LogLevel::kInfo,
             absl::StrCat(balloond::Silo(name), " takes part again"));
    }
    silo.is_managed = true;
    silo.has_told_silence = false;
  } else if (view.reason == Reason::kUnmanaged &&
             std::exchange(silo.is_managed, false)) {
    // A guest that boots says nothing either, but never took part.
    silo.has_told_silence = true;
    Warn(&silo,
         absl::StrCat(balloond::Silo(name), " does not say how it is",
                      error.ok() ? "" : absl::StrCat(": ", error.message()),
                      "; it keeps what it has until it does"));
  }
  if (!view.sample || !view.sample->oom_kills) return;
  const int64_t kills = *view.sample->oom_kills;
  // Fewer than before: the guest has been started again.
  if (silo.oom_kills && kills > *silo.oom_kills) {
    Warn(&silo, absl::StrCat(balloond::Silo(name), " has killed ",
                             kills - *silo.oom_kills,
                             " of its programs for want of memory"));
  }
  silo.oom_kills = kills;
}

void Journal::OnResize(const std::string& name, const Resize& resize,
                       std::optional<int64_t> balloon, bool is_dry_run) {
  Silo& silo = Get(name);
  const std::string move = balloon
                               ? absl::StrCat("from ", Amount(*balloon), " to ",
                                              Amount(resize.balloon))
                               : absl::StrCat("to ", Amount(resize.balloon));
  if (resize.reason == Reason::kStalled) {
    Warn(&silo, absl::StrCat(balloond::Silo(name),
                             " does not give up the memory that it was asked "
                             "for; asking for a balloon of ",
                             Amount(resize.balloon), " instead"));
  } else if (resize.reason == Reason::kGuestRefused) {
    Warn(&silo, absl::StrCat(balloond::Silo(name),
                             " was out of memory and took some back; asking "
                             "for a balloon of ",
                             Amount(resize.balloon), " instead"));
  }
  const std::string text = absl::StrCat(balloond::Silo(name), ": balloon ",
                                        is_dry_run ? "would go " : "goes ",
                                        move, ", ", ReasonName(resize.reason));
  if (is_dry_run && silo.dry_run_limit.Next()) {
    write_(LogLevel::kInfo, text);
  } else {
    write_(LogLevel::kDebug, text);
  }
}

void Journal::OnResizeError(const std::string& name,
                            const absl::Status& status) {
  Warn(&Get(name), absl::StrCat(balloond::Silo(name),
                                ": its hypervisor does not take the "
                                "request for another balloon: ",
                                status.message()));
}

void Journal::OnHostError(const absl::Status& status) {
  if (!host_error_limit_.Next()) return;
  write_(LogLevel::kError, absl::StrCat("cannot look at the host's memory: ",
                                        status.message(), ", trying again"));
}

void Journal::OnHost(const HostReading& host, int64_t critical,
                     int64_t exposure) {
  const int64_t headroom = host.available - critical;
  if (headroom < 0 && !is_host_short_) {
    is_host_short_ = true;
    has_told_short_ = host_limit_.Next().has_value();
    write_(has_told_short_ ? LogLevel::kWarning : LogLevel::kDebug,
           absl::StrCat("the host is short of memory: ", Amount(host.available),
                        " available, of which ", Amount(critical),
                        " are its own"));
  } else if (headroom > critical / 4 && is_host_short_) {
    // Not at the very edge, which it may cross again and again.
    is_host_short_ = false;
    write_(has_told_short_ ? LogLevel::kInfo : LogLevel::kDebug,
           "the host has enough memory again");
  }
  if (exposure > kExposureFactor * std::max<int64_t>(headroom, 0) &&
      !std::exchange(has_told_exposure_, true)) {
    write_(LogLevel::kWarning,
           absl::StrCat("silos may still take ", Amount(exposure),
                        " more than they occupy, and the host has ",
                        Amount(std::max<int64_t>(headroom, 0)),
                        " to give: not all of them can have their memory at "
                        "once"));
  }
}

}  // namespace vmsilo::balloond
