#include "console-relay/relay.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/event_loop.h"
#include "common/log.h"
#include "common/log_limit.h"
#include "common/notify.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "console-relay/input.h"
#include "console-relay/log_file.h"
#include "console-relay/pty.h"
#include "console-relay/ring.h"
#include "console-relay/viewers.h"
#include "console/message.h"

namespace vmsilo::console_relay {
namespace {

// What a socket can still hold when its peer has gone, generously: more than
// that is not awaited from a guest that is being replaced.
constexpr int kMaxLastReceipts = 64;

}  // namespace

Relay::Relay(EventLoop* loop, const Clock* clock, Parts parts,
             OnGuestChange on_guest_change)
    : loop_(loop),
      clock_(clock),
      ring_(std::move(parts.ring)),
      pty_(std::move(parts.pty)),
      input_(std::move(parts.input)),
      log_(std::move(parts.log)),
      on_guest_change_(std::move(on_guest_change)),
      guest_lines_(clock, kMaxGuestLines, kGuestLineInterval) {
  if (parts.viewers_listener.is_valid()) {
    viewers_.emplace(loop_, std::move(parts.viewers_listener), &ring_,
                     static_cast<Viewers::Console*>(this));
  }
}

absl::Status Relay::Start() {
  ++ring_.counters().starts;
  terminal_interest_ = EPOLLIN;
  VMSILO_ASSIGN_OR_RETURN(
      terminal_source_,
      loop_->AddIo(pty_.master(), terminal_interest_, [this](uint32_t events) {
        return OnTerminalEvents(events);
      }));
  VMSILO_ASSIGN_OR_RETURN(
      users_source_, loop_->AddIo(pty_.watch_fd(), EPOLLIN, [this](uint32_t) {
        return OnTerminalUsers();
      }));
  if (viewers_.has_value()) VMSILO_RETURN_IF_ERROR(viewers_->Start());
  ReportStatus();
  // What a predecessor left.
  return PassOutput();
}

absl::Status Relay::TakeGuest(UniqueFd guest, Origin origin) {
  if (guest_.is_valid()) {
    // Its last words are in the socket, a crash's perhaps.
    for (int i = 0; i < kMaxLastReceipts; ++i) {
      if (ReceiveOnce() != Received::kSome) break;
      VMSILO_RETURN_IF_ERROR(PassOutput());
    }
    VMSILO_RETURN_IF_ERROR(DropGuest());
  }
  guest_ = std::move(guest);
  if (origin == Origin::kConnected) {
    ++ring_.counters().guest_connections;
    VMSILO_RETURN_IF_ERROR(on_guest_change_(guest_.get()));
    ReportGuest("connected");
  }
  guest_interest_ = EPOLLIN;
  VMSILO_ASSIGN_OR_RETURN(
      guest_source_,
      loop_->AddIo(guest_.get(), guest_interest_,
                   [this](uint32_t events) { return OnGuestEvents(events); }));
  if (viewers_.has_value()) viewers_->OnGuest(/*is_connected=*/true);
  ReportStatus();
  return PassInput();
}

absl::Status Relay::DropGuest() {
  guest_source_.Reset();
  patience_.Reset();
  is_guest_waiting_ = false;
  // Duplicates of the descriptor may be about, and its peer is to see the end.
  (void)shutdown(guest_.get(), SHUT_RDWR);
  guest_.Reset();
  ring_.counters().to_guest_lost += input_.Discard();
  ReportGuest("gone");
  if (viewers_.has_value()) {
    viewers_->OnGuest(/*is_connected=*/false);
    viewers_->OnRoomForInput();
  }
  ReportStatus();
  VMSILO_RETURN_IF_ERROR(UpdateTerminalInterest());
  // Last: it may bring the next guest at once.
  return on_guest_change_(-1);
}

Relay::Received Relay::ReceiveOnce() {
  const absl::StatusOr<size_t> received = ring_.ReceiveFrom(guest_.get());
  if (received.ok()) {
    return *received > 0 ? Received::kSome : Received::kEnd;
  }
  // A connection that was reset has ended as well.
  return absl::IsUnavailable(received.status()) ? Received::kNothing
                                                : Received::kEnd;
}

absl::Status Relay::OnGuestEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) VMSILO_RETURN_IF_ERROR(PassInput());
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
    return absl::OkStatus();
  }
  switch (ReceiveOnce()) {
    case Received::kNothing:
      return absl::OkStatus();
    case Received::kSome:
      return PassOutput();
    case Received::kEnd:
      return DropGuest();
  }
  return absl::OkStatus();
}

absl::Status Relay::OnTerminalEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) {
    is_terminal_full_ = false;
    VMSILO_RETURN_IF_ERROR(PassToTerminal());
  }
  if ((events & EPOLLIN) != 0) {
    VMSILO_RETURN_IF_ERROR(input_.TakeFromTerminal(pty_.master()).status());
    return PassInput();
  }
  // The last user has left, and we could not open it.
  if ((events & EPOLLHUP) != 0) return RecountUsers();
  return absl::OkStatus();
}

absl::Status Relay::OnTerminalUsers() {
  VMSILO_ASSIGN_OR_RETURN(const Pty::Change change, pty_.ReadChanges());
  if (change.needs_recount) {
    VMSILO_ASSIGN_OR_RETURN(recount_, loop_->AddTimer(kRecountDelay, [this] {
      return RecountUsers();
    }));
  }
  return OnTerminalChange(change);
}

absl::Status Relay::RecountUsers() {
  recount_.Reset();
  // Whoever has come meanwhile, and is not seen yet, counts as well.
  VMSILO_RETURN_IF_ERROR(OnTerminalUsers());
  if (recount_.is_active()) return absl::OkStatus();
  VMSILO_ASSIGN_OR_RETURN(const Pty::Change change, pty_.Recount());
  return OnTerminalChange(change);
}

absl::Status Relay::OnTerminalChange(const Pty::Change& change) {
  if (change.was_left) VMSILO_RETURN_IF_ERROR(pty_.Reset());
  if (change.was_left || change.was_entered) {
    is_terminal_full_ = false;
    patient_from_ = taken_;
    is_terminal_new_ = pty_.is_open();
    newness_.Reset();
    if (is_terminal_new_) {
      ring_.RewindTerminal();
      VMSILO_ASSIGN_OR_RETURN(newness_, loop_->AddTimer(kNewness, [this] {
        is_terminal_new_ = false;
        // Whoever comes sees what there is to see first.
        ring_.RewindTerminal();
        return PassToTerminal();
      }));
    }
    ReportStatus();
  }
  return PassToTerminal();
}

absl::Status Relay::PassOutput() {
  PassToLog();
  VMSILO_RETURN_IF_ERROR(PassToTerminal());
  return viewers_.has_value() ? viewers_->OnOutput() : absl::OkStatus();
}

absl::Status Relay::PassToTerminal() {
  if (pty_.is_open() && !is_terminal_new_) {
    if (ring_.SkipLost() > 0) ReportLoss();
    while (!is_terminal_full_ && ring_.terminal() < ring_.end()) {
      const absl::StatusOr<size_t> sent =
          ring_.SendToTerminal(pty_.master(), kTerminalWriteBytes);
      if (!sent.ok() && !absl::IsUnavailable(sent.status())) {
        return sent.status();
      }
      const uint64_t position = ring_.terminal();
      // Cut short, by the terminal or by the ring's edge.
      is_terminal_full_ = !sent.ok() || (*sent < kTerminalWriteBytes &&
                                         position % ring_.capacity() != 0 &&
                                         position < ring_.end());
      taken_ += sent.value_or(0);
    }
  }
  VMSILO_RETURN_IF_ERROR(UpdateTerminalInterest());
  return UpdateGuestInterest();
}

void Relay::PassToLog() {
  if (!log_.has_value() || is_log_paused_) return;
  if (const absl::Status status = WriteLog(); !status.ok()) {
    return PauseLog(status);
  }
  if (!is_log_interrupted_) return;
  is_log_interrupted_ = false;
  LOG(INFO) << "log: it goes on"
            << (log_gap_ > 0
                    ? absl::StrCat(", ", log_gap_, " bytes are missing in it")
                    : "");
  log_gap_ = 0;
}

absl::Status Relay::WriteLog() {
  VMSILO_RETURN_IF_ERROR(log_->OpenIfNeeded());
  if (!is_log_resumed_) ResumeLog();
  is_log_resumed_ = true;
  Ring::LogMark mark = ring_.log_mark();
  if (const uint64_t lost = LostToLog(); lost > 0) {
    VMSILO_RETURN_IF_ERROR(log_->MarkGap(lost, absl::Now()));
    ring_.counters().log_lost += lost;
    log_gap_ += lost;
    mark.position += lost;
    ring_.SetLogMark({.position = mark.position, .file_size = log_->size()});
  }
  while (mark.position < ring_.end()) {
    VMSILO_RETURN_IF_ERROR(log_->RotateIfFull());
    // Before the write, so that a successor knows what it added.
    mark.file_size = log_->size();
    ring_.SetLogMark(mark);
    VMSILO_ASSIGN_OR_RETURN(
        const size_t written,
        log_->Write(ring_.Peek(mark.position, kMaxReceiveBytes)[0],
                    absl::Now()));
    mark.position += written;
    ring_.SetLogMark({.position = mark.position, .file_size = log_->size()});
  }
  return absl::OkStatus();
}

uint64_t Relay::LostToLog() const {
  if (!log_.has_value()) return 0;
  const uint64_t position = ring_.log_mark().position;
  return position < ring_.begin() ? ring_.begin() - position : 0;
}

void Relay::PauseLog(const absl::Status& reason) {
  absl::StatusOr<Source> retry = loop_->AddTimer(kLogRetry, [this] {
    is_log_paused_ = false;
    PassToLog();
    return absl::OkStatus();
  });
  // Once, however often it is tried.
  if (!is_log_interrupted_) {
    LOG(WARNING) << "log: " << reason.message()
                 << (retry.ok() ? ", trying again until it works"
                                : ", giving it up");
  }
  is_log_paused_ = true;
  is_log_interrupted_ = true;
  if (retry.ok()) log_retry_ = *std::move(retry);
}

void Relay::ResumeLog() {
  Ring::LogMark mark = ring_.log_mark();
  // What a predecessor wrote and did not live to count. A log with timestamps
  // does not tell; there, a line may be there twice.
  const uint64_t gained = log_->size() - std::min(log_->size(), mark.file_size);
  if (ring_.counters().starts > 1 && log_->is_exact() &&
      gained <= ring_.end() - mark.position) {
    mark.position += gained;
  }
  mark.file_size = log_->size();
  ring_.SetLogMark(mark);
}

absl::Status Relay::PassInput() {
  if (!guest_.is_valid()) {
    // A line that leads nowhere: what is typed at it now must not be waiting
    // for whoever comes next.
    ring_.counters().to_guest_lost += input_.Discard();
    return absl::OkStatus();
  }
  const absl::StatusOr<size_t> given = input_.GiveTo(guest_.get());
  // That the guest is gone is seen where it is read from.
  if (given.ok()) ring_.counters().to_guest += *given;
  if (input_.size() == 0 && viewers_.has_value()) viewers_->OnRoomForInput();
  VMSILO_RETURN_IF_ERROR(UpdateGuestInterest());
  return UpdateTerminalInterest();
}

absl::Status Relay::UpdateGuestInterest() {
  if (!guest_.is_valid()) return absl::OkStatus();
  const uint64_t backlog = pty_.is_open() ? ring_.end() - ring_.terminal() : 0;
  const bool must_wait = backlog > ring_.capacity() / 4 * 3 &&
                         is_terminal_full_ && taken_ >= patient_from_;
  if (must_wait && !is_guest_waiting_) {
    VMSILO_ASSIGN_OR_RETURN(patience_, loop_->AddTimer(kPatience, [this] {
      return OnPatienceOver();
    }));
    is_guest_waiting_ = true;
  } else if (is_guest_waiting_ && backlog <= ring_.capacity() / 2) {
    patience_.Reset();
    is_guest_waiting_ = false;
  }
  const uint32_t interest =
      (is_guest_waiting_ ? 0U : EPOLLIN) | (input_.size() > 0 ? EPOLLOUT : 0U);
  if (interest == guest_interest_) return absl::OkStatus();
  guest_interest_ = interest;
  return guest_source_.SetEvents(interest);
}

absl::Status Relay::OnPatienceOver() {
  is_guest_waiting_ = false;
  patient_from_ = taken_ + ring_.capacity() / 4;
  return UpdateGuestInterest();
}

absl::Status Relay::UpdateTerminalInterest() {
  const bool wants_out = pty_.is_open() && is_terminal_full_;
  // As long as the guest has something to take, more can wait with the user.
  const uint32_t interest =
      (input_.size() == 0 ? EPOLLIN : 0U) | (wants_out ? EPOLLOUT : 0U);
  if (interest == terminal_interest_) return absl::OkStatus();
  terminal_interest_ = interest;
  return terminal_source_.SetEvents(interest);
}

void Relay::ReportGuest(absl::string_view change) {
  const std::optional<uint64_t> left_out = guest_lines_.Next();
  if (!left_out.has_value()) return;
  LOG(INFO) << "the virtual machine is " << change
            << (*left_out > 0 ? absl::StrCat("; it came or went ", *left_out,
                                             " times without a message")
                              : "");
}

void Relay::ReportLoss() {
  const absl::Time now = clock_->Now();
  if (loss_reported_at_.has_value() &&
      now - *loss_reported_at_ < kLossReportInterval) {
    return;
  }
  loss_reported_at_ = now;
  LOG(WARNING) << ring_.terminal_lost() - reported_loss_
               << " bytes fell out of the scrollback before the terminal's "
                  "reader took them";
  reported_loss_ = ring_.terminal_lost();
}

void Relay::ReportStatus() {
  NotifyStatus(absl::StrCat(
      guest_.is_valid() ? "Virtual machine connected" : "No virtual machine",
      pty_.is_open() ? ", terminal open" : ""));
}

bool Relay::TakeInput(absl::string_view bytes) {
  if (!guest_.is_valid()) {
    ring_.counters().to_guest_lost += bytes.size();
    return true;
  }
  const absl::StatusOr<bool> is_taken = input_.Take(bytes);
  if (!is_taken.value_or(false)) return false;
  const absl::Status status = PassInput();
  if (!status.ok()) LOG(WARNING) << status.message() << ", ignoring";
  return true;
}

void Relay::Resize(const console::WindowSize& size) {
  window_size_ = size;
  const absl::Status status = pty_.SetWindowSize(size);
  if (!status.ok()) LOG(WARNING) << status.message() << ", ignoring";
}

console::Status Relay::GetStatus() const {
  const Ring::Counters& counters = ring_.counters();
  return {.is_terminal_open = pty_.is_open(),
          .from_guest = ring_.end(),
          .to_guest = counters.to_guest,
          .to_guest_lost = counters.to_guest_lost,
          .terminal_lost = ring_.terminal_lost(),
          .log_lost = counters.log_lost + LostToLog(),
          .guest_connections = counters.guest_connections,
          .scrollback = ring_.capacity(),
          .window_size = window_size_};
}

}  // namespace vmsilo::console_relay
