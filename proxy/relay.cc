#include "proxy/relay.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/event_loop.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::proxy {
namespace {

// After so many moves in a row the other direction gets its turn.
constexpr int kMovesPerTurn = 16;

// A move of fewer bytes probably emptied the socket: asking it again would
// only be told so, and the event loop tells for free.
constexpr size_t kLikelyMore = size_t{32} * 1024;

// No event but the end of the connection, and that once: EPOLLHUP cannot be
// masked, and without EPOLLET it would be reported for ever.
constexpr uint32_t kOnlyHangUp = EPOLLET;

}  // namespace

Relay::Relay(EventLoop* loop, UniqueFd client, UniqueFd guest, Done done)
    : loop_(loop), done_(std::move(done)) {
  sockets_[kFromClient] = std::move(client);
  sockets_[kFromGuest] = std::move(guest);
}

absl::StatusOr<std::unique_ptr<Relay>> Relay::Create(EventLoop* loop,
                                                     UniqueFd client,
                                                     UniqueFd guest,
                                                     Means means, Done done) {
  std::unique_ptr<Relay> relay(
      new Relay(loop, std::move(client), std::move(guest), std::move(done)));
  for (Direction& direction : relay->directions_) {
    if (means == Means::kCopy) {
      direction.buffer.reset(new char[kRelayBytes]);
      continue;
    }
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
      return ErrnoStatus("create a pipe");
    }
    direction.pipe_read = UniqueFd(fds[0]);
    direction.pipe_write = UniqueFd(fds[1]);
    // Refused where the user's pipes are many: then it is the usual 64 KiB.
    (void)fcntl(fds[1], F_SETPIPE_SZ, static_cast<int>(kRelayBytes));
  }
  for (size_t socket = 0; socket < 2; ++socket) {
    relay->interest_[socket] = EPOLLIN;
    VMSILO_ASSIGN_OR_RETURN(
        relay->sources_[socket],
        loop->AddIo(relay->sockets_[socket].get(), EPOLLIN,
                    [relay = relay.get(), socket](uint32_t events) {
                      return relay->OnEvents(socket, events);
                    }));
  }
  return relay;
}

absl::Status Relay::OnEvents(size_t socket, uint32_t events) {
  const size_t other = 1 - socket;
  if (socket == kFromClient && (events & EPOLLHUP) != 0) is_client_gone_ = true;
  // A hang-up is read to its end: bytes may lie before it.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Pump(socket);
  if ((events & EPOLLOUT) != 0) Pump(other);
  // Shut both ways: what is on its way to this socket cannot arrive.
  if ((events & EPOLLHUP) != 0) Abandon(other);

  if (directions_[kFromClient].is_finished &&
      directions_[kFromGuest].is_finished) {
    return Finish();
  }
  if (socket == kFromClient && (events & EPOLLHUP) != 0 &&
      !stuck_timer_.is_active()) {
    bytes_at_timer_ = directions_[kFromClient].total;
    VMSILO_ASSIGN_OR_RETURN(stuck_timer_, loop_->AddTimer(kStuckAfter, [this] {
      return OnStuckTimer();
    }));
  }
  VMSILO_RETURN_IF_ERROR(UpdateInterest(kFromClient));
  return UpdateInterest(kFromGuest);
}

// Ends a direction whose bytes nobody takes any more.
void Relay::Abandon(size_t from) {
  Direction& direction = directions_[from];
  if (from == kFromClient && !direction.is_finished && direction.held > 0 &&
      !is_client_gone_) {
    outcome_ = Outcome::kGuestBrokeOff;
  }
  direction.is_finished = true;
}

absl::Status Relay::OnStuckTimer() {
  const uint64_t total = directions_[kFromClient].total;
  if (total == bytes_at_timer_) return Finish();
  bytes_at_timer_ = total;
  return stuck_timer_.SetTimer(kStuckAfter);
}

absl::Status Relay::Finish() {
  sources_[kFromClient].Reset();
  sources_[kFromGuest].Reset();
  stuck_timer_.Reset();
  const Done done = std::move(done_);
  return done(outcome_);
}

void Relay::Pump(size_t from) {
  Direction& direction = directions_[from];
  for (int move = 0; move < kMovesPerTurn && !direction.is_finished; ++move) {
    bool is_likely_empty = false;
    if (direction.held == 0 && !direction.has_ended) {
      const Step step = Fill(from);
      if (step == Step::kBlocked) return;
      if (step == Step::kBroken) {
        // Reset: it takes nothing any more, either.
        direction.has_ended = true;
        directions_[1 - from].is_finished = true;
        if (from == kFromGuest) outcome_ = Outcome::kGuestBrokeOff;
      }
      is_likely_empty = direction.held < kLikelyMore;
    }
    if (direction.held > 0) {
      const Step step = Drain(from);
      if (step == Step::kBlocked) return;
      if (step == Step::kBroken) {
        // Nobody takes it. What the other side still had to say is read all
        // the same: a last word may be among it.
        (void)shutdown(sockets_[from].get(), SHUT_RD);
        Abandon(from);
        return;
      }
    }
    if (direction.has_ended) {
      // Fails where nobody is connected any more, which says as much.
      (void)shutdown(sockets_[1 - from].get(), SHUT_WR);
      direction.is_finished = true;
      return;
    }
    if (is_likely_empty) return;
  }
}

Relay::Step Relay::Fill(size_t from) {
  Direction& direction = directions_[from];
  const int in = sockets_[from].get();
  for (;;) {
    ssize_t count = 0;
    if (direction.buffer == nullptr) {
      count = splice(in, nullptr, direction.pipe_write.get(), nullptr,
                     kRelayBytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (count < 0 && errno == EINVAL) {
        // Not every kind of socket in every kernel can.
        direction.buffer.reset(new char[kRelayBytes]);
        continue;
      }
    } else {
      count = recv(in, direction.buffer.get(), kRelayBytes, 0);
      direction.start = 0;
    }
    if (count > 0) {
      direction.held = static_cast<size_t>(count);
      return Step::kProgress;
    }
    if (count == 0) {
      direction.has_ended = true;
      return Step::kProgress;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? Step::kBlocked : Step::kBroken;
  }
}

Relay::Step Relay::Drain(size_t from) {
  Direction& direction = directions_[from];
  const int out = sockets_[1 - from].get();
  while (direction.held > 0) {
    ssize_t count = 0;
    if (direction.buffer == nullptr) {
      count = splice(direction.pipe_read.get(), nullptr, out, nullptr,
                     direction.held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (count < 0 && errno == EINVAL) {
        direction.buffer.reset(new char[kRelayBytes]);
        direction.start = 0;
        size_t taken = 0;
        while (taken < direction.held) {
          const ssize_t got =
              read(direction.pipe_read.get(), direction.buffer.get() + taken,
                   direction.held - taken);
          if (got <= 0) return Step::kBroken;
          taken += static_cast<size_t>(got);
        }
        continue;
      }
    } else {
      count = send(out, direction.buffer.get() + direction.start,
                   direction.held, MSG_NOSIGNAL);
    }
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Step::kBlocked : Step::kBroken;
    }
    direction.start += static_cast<size_t>(count);
    direction.held -= static_cast<size_t>(count);
    direction.total += static_cast<uint64_t>(count);
  }
  return Step::kProgress;
}

absl::Status Relay::UpdateInterest(size_t socket) {
  const Direction& in = directions_[socket];
  const Direction& out = directions_[1 - socket];
  uint32_t wanted = kOnlyHangUp;
  // Bytes are taken in only when those before them are gone.
  if (!in.is_finished && !in.has_ended && in.held == 0) wanted = EPOLLIN;
  if (!out.is_finished && out.held > 0) {
    wanted = (wanted & EPOLLIN) | EPOLLOUT;
  }
  if (wanted == interest_[socket]) return absl::OkStatus();
  interest_[socket] = wanted;
  return sources_[socket].SetEvents(wanted);
}

}  // namespace vmsilo::proxy
