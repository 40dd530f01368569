#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "balloond/controller.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/log_limit.h"

namespace vmsilo::balloond {

// What of all that happens is worth a line to whoever reads the journal: a
// change of state, and of what a guest can cause a line a minute at most.
class Journal {
 public:
  using Write = std::function<void(LogLevel level, const std::string& text)>;

  // Writes to the log. `clock` is borrowed.
  explicit Journal(const Clock* clock);
  Journal(const Clock* clock, Write write);

  // A silo is there. `why_not` says why it is left alone; empty if it is not.
  void OnFound(const std::string& name, absl::string_view hypervisor,
               absl::string_view why_not);
  void OnLost(const std::string& name);
  // One that is there cannot be taken care of.
  void OnTooMany(const std::string& name);
  // Something that root has written about a silo is wrong.
  void OnFileError(const std::string& name, const absl::Status& status);

  // A silo as it is after a round; `error` is the last that it gave.
  void OnView(const std::string& name, const VmView& view,
              const absl::Status& error);
  // It was asked for another balloon, or would be in a dry run.
  void OnResize(const std::string& name, const Resize& resize,
                std::optional<int64_t> balloon, bool is_dry_run);
  void OnResizeError(const std::string& name, const absl::Status& status);

  void OnHostError(const absl::Status& status);
  // `critical` is what the host keeps for itself, `exposure` what guests may
  // use and do not occupy.
  void OnHost(const HostReading& host, int64_t critical, int64_t exposure);

 private:
  struct Silo {
    explicit Silo(const Clock* clock);
    LogLimit limit;
    LogLimit dry_run_limit;
    bool is_managed = false;
    bool has_told_silence = false;
    std::optional<int64_t> oom_kills;
  };

  Silo& Get(const std::string& name);
  void Warn(Silo* silo, const std::string& text);

  const Clock* clock_;
  Write write_;
  std::map<std::string, Silo> silos_;
  LogLimit host_limit_;
  LogLimit host_error_limit_;
  bool is_host_short_ = false;
  bool has_told_short_ = false;
  bool has_told_exposure_ = false;
  bool has_told_too_many_ = false;
};

}  // namespace vmsilo::balloond
