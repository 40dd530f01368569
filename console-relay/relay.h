#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/log_limit.h"
#include "common/unique_fd.h"
#include "console-relay/input.h"
#include "console-relay/log_file.h"
#include "console-relay/pty.h"
#include "console-relay/ring.h"
#include "console-relay/viewers.h"
#include "console/message.h"

namespace vmsilo::console_relay {

// What one write gives a terminal: about twice what it takes at once while
// somebody reads, so that a write that was cut short is the sign to wait.
inline constexpr size_t kTerminalWriteBytes = size_t{8} * 1024;

// A reader who is behind by three quarters of the ring makes the guest wait
// this long before anything is lost: time for a program that is only late to be
// scheduled. After that, it must have taken another quarter before the guest
// waits again, so that a slow reader slows down nobody.
inline constexpr absl::Duration kPatience = absl::Milliseconds(100);

// What waits in a terminal when somebody opens it is what programs throw away
// before they set it up and read (picocom, for one). So the scrollback comes
// this long after, which nobody notices.
inline constexpr absl::Duration kNewness = absl::Milliseconds(100);

// After somebody has left the terminal, until it is quiet enough to find out
// who else is there: programs that close a terminal only to open it again do so
// at once.
inline constexpr absl::Duration kRecountDelay = absl::Milliseconds(200);

// Between attempts to write a log that could not be written.
inline constexpr absl::Duration kLogRetry = absl::Seconds(5);

// Between two messages about bytes that a terminal lost: the guest decides how
// often it happens.
inline constexpr absl::Duration kLossReportInterval = absl::Minutes(1);

// Lines about guests that come and go, which whoever connects decides about:
// so many in a row, a restart or several, and then a dozen an hour.
inline constexpr int kMaxGuestLines = 12;
inline constexpr absl::Duration kGuestLineInterval = absl::Minutes(5);

// Connects a guest's serial line with a terminal, with viewers, and with a log.
// The guest is never made to wait for longer than kPatience: its output goes
// into a ring, and who does not take it from there in time has lost it.
class Relay : private Viewers::Console {
 public:
  // Called when a guest has come, with its socket, and when it is gone, with
  // -1: for whoever keeps descriptors for a successor.
  using OnGuestChange = std::function<absl::Status(int guest)>;

  struct Parts {
    Ring ring;
    Pty pty;
    Input input;
    std::optional<LogFile> log;
    UniqueFd viewers_listener;  // may be absent
  };

  Relay(EventLoop* loop, const Clock* clock, Parts parts,
        OnGuestChange on_guest_change);

  absl::Status Start();

  enum class Origin { kConnected, kPredecessor };

  // Takes the connection of a hypervisor, in the place of the one that there
  // is, of which everything that has come is taken first.
  absl::Status TakeGuest(UniqueFd guest, Origin origin = Origin::kConnected);

 private:
  enum class Received { kSome, kNothing, kEnd };

  absl::Status OnGuestEvents(uint32_t events);
  absl::Status OnTerminalEvents(uint32_t events);
  absl::Status OnTerminalUsers();
  absl::Status RecountUsers();
  absl::Status OnTerminalChange(const Pty::Change& change);
  absl::Status OnPatienceOver();

  Received ReceiveOnce();
  absl::Status DropGuest();
  // Passes on what the ring has: to the terminal, the viewers, the log.
  absl::Status PassOutput();
  absl::Status PassToTerminal();
  void PassToLog();
  absl::Status WriteLog();
  void PauseLog(const absl::Status& reason);
  // Finds out what a predecessor has written.
  void ResumeLog();
  // What fell out of the ring before the log could be written.
  uint64_t LostToLog() const;
  absl::Status PassInput();
  // Sets what the loop waits for.
  absl::Status UpdateGuestInterest();
  absl::Status UpdateTerminalInterest();
  void ReportGuest(absl::string_view change);
  void ReportLoss();
  void ReportStatus();

  // Viewers::Console:
  bool TakeInput(absl::string_view bytes) override;
  void Resize(const console::WindowSize& size) override;
  console::Status GetStatus() const override;

  EventLoop* loop_;
  const Clock* clock_;
  Ring ring_;
  Pty pty_;
  Input input_;
  std::optional<LogFile> log_;
  OnGuestChange on_guest_change_;
  console::WindowSize window_size_;

  // Somebody has just opened the terminal.
  bool is_terminal_new_ = false;
  // The terminal took less than it was given, and has not asked for more.
  bool is_terminal_full_ = false;
  // What its readers have taken, and how much that must be before the guest
  // waits for them again.
  uint64_t taken_ = 0;
  uint64_t patient_from_ = 0;
  // The guest is made to wait for the terminal's reader.
  bool is_guest_waiting_ = false;
  bool is_log_resumed_ = false;
  // The log failed, and nothing is tried before the timer.
  bool is_log_paused_ = false;
  // It failed, and has not been complete since.
  bool is_log_interrupted_ = false;
  uint64_t log_gap_ = 0;  // lost since then
  uint64_t reported_loss_ = 0;
  std::optional<absl::Time> loss_reported_at_;
  LogLimit guest_lines_;

  UniqueFd guest_;
  uint32_t guest_interest_ = 0;
  uint32_t terminal_interest_ = 0;
  Source guest_source_;
  Source terminal_source_;
  Source users_source_;
  Source newness_;
  Source recount_;
  Source patience_;
  Source log_retry_;
  // Last: it calls us.
  std::optional<Viewers> viewers_;
};

}  // namespace vmsilo::console_relay
