#include "console-relay/viewers.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/acceptor.h"
#include "common/event_loop.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "console-relay/ring.h"
#include "console/limits.h"
#include "console/message.h"

namespace vmsilo::console_relay {
namespace {

// Packets to one viewer before others have their turn.
constexpr int kMaxPacketsInARow = 8;

enum class SendResult { kSent, kLater, kHungUp, kFailed };

SendResult SendPieces(int fd, absl::string_view head,
                      const std::array<absl::string_view, 2>& body) {
  std::array<iovec, 3> pieces = {
      {{const_cast<char*>(head.data()), head.size()},
       {const_cast<char*>(body[0].data()), body[0].size()},
       {const_cast<char*>(body[1].data()), body[1].size()}}};
  msghdr message = {};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  // A packet is sent as a whole or not at all.
  if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    return SendResult::kSent;
  }
  if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
    return SendResult::kLater;
  }
  return errno == EPIPE || errno == ECONNRESET ? SendResult::kHungUp
                                               : SendResult::kFailed;
}

}  // namespace

struct Viewers::Viewer {
  // What is to be sent when the output has come so far.
  struct Notice {
    uint64_t position = 0;
    console::FromRelay message;
  };

  UniqueFd fd;
  bool is_attached = false;
  bool is_dead = false;
  // It takes nothing more. What it typed before that still counts.
  bool has_hung_up = false;
  console::Role role = console::Role::kObserver;
  uint64_t position = 0;  // of the next byte to send
  std::optional<Notice> guest_notice;
  std::optional<console::FromRelay> urgent_notice;  // before more output
  std::string held_input;  // that the console had no room for
  uint32_t interest = EPOLLIN;
  Source source;
};

Viewers::Viewers(EventLoop* loop, UniqueFd listener, const Ring* ring,
                 Console* console)
    : loop_(loop),
      ring_(ring),
      console_(console),
      acceptor_(loop, std::move(listener), "a viewer",
                [this](UniqueFd fd) { return TakeViewer(std::move(fd)); }) {}

Viewers::~Viewers() = default;

absl::Status Viewers::Start() { return acceptor_.Start(); }

absl::Status Viewers::TakeViewer(UniqueFd fd) {
  if (viewers_.size() >= console::kMaxViewers) {
    const std::string packet = console::Encode(console::Error{
        .code = static_cast<uint16_t>(console::ErrorCode::kBusy),
        .message = absl::StrCat("the console has ", viewers_.size(),
                                " viewers already")});
    // It is closed in any case.
    (void)SendPieces(fd.get(), packet, {});
    return absl::OkStatus();
  }
  viewers_.push_back(std::make_unique<Viewer>());
  Viewer* const viewer = viewers_.back().get();
  viewer->fd = std::move(fd);
  return Watch(viewer);
}

absl::Status Viewers::Watch(Viewer* viewer) {
  viewer->source.Reset();
  viewer->interest = EPOLLIN;
  VMSILO_ASSIGN_OR_RETURN(viewer->source,
                          loop_->AddIo(viewer->fd.get(), viewer->interest,
                                       [this, viewer](uint32_t events) {
                                         return OnEvents(viewer, events);
                                       }));
  return absl::OkStatus();
}

absl::Status Viewers::OnEvents(Viewer* viewer, uint32_t events) {
  const bool has_hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (has_hung_up) viewer->has_hung_up = true;
  if (viewer->held_input.empty()) {
    if (has_hung_up || (events & EPOLLIN) != 0) Read(viewer);
  } else if (has_hung_up) {
    // It would go on saying so until there is room for its input.
    viewer->source.Reset();
  }
  absl::Status status = Send(viewer);
  RemoveDead();
  return status;
}

void Viewers::Read(Viewer* viewer) {
  std::array<char, console::kMaxInputBytes + 64> packet;
  const ssize_t size =
      recv(viewer->fd.get(), packet.data(), packet.size(), MSG_DONTWAIT);
  if (size > 0) {
    OnPacket(viewer, absl::string_view(packet.data(), size));
  } else if (size < 0 && errno == ECONNRESET) {
    // It left without taking everything: said once, before what it sent.
    viewer->has_hung_up = true;
  } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
    Remove(viewer);
  }
}

void Viewers::OnPacket(Viewer* viewer, absl::string_view packet) {
  absl::StatusOr<console::FromViewer> message =
      console::DecodeFromViewer(packet);
  if (!message.ok()) {
    End(viewer, console::ErrorCode::kProtocol, message.status().message());
    return;
  }
  if (const auto* attach = std::get_if<console::Attach>(&*message)) {
    Attach(viewer, *attach);
  } else if (const auto* input = std::get_if<console::Input>(&*message)) {
    // One who is not the writer any more may not know it yet.
    if (viewer == writer_ && !console_->TakeInput(input->bytes)) {
      viewer->held_input = std::string(input->bytes);
    }
  } else if (const auto* size = std::get_if<console::WindowSize>(&*message)) {
    if (viewer == writer_) console_->Resize(*size);
  } else {
    console::Status status = console_->GetStatus();
    status.has_guest = has_guest_;
    // Who only asks is no viewer.
    status.viewers = static_cast<uint32_t>(
        std::count_if(viewers_.begin(), viewers_.end(),
                      [](const auto& other) { return other->is_attached; }));
    status.has_writer = writer_ != nullptr;
    viewer->urgent_notice = status;
  }
}

void Viewers::Attach(Viewer* viewer, const console::Attach& attach) {
  if (viewer->is_attached) {
    End(viewer, console::ErrorCode::kProtocol, "attached already");
    return;
  }
  if (attach.version < console::kVersion) {
    End(viewer, console::ErrorCode::kNoVersion,
        absl::StrCat("this console speaks version ", console::kVersion));
    return;
  }
  if (attach.role == console::Role::kWriter) {
    if (writer_ != nullptr && !attach.takes_over) {
      End(viewer, console::ErrorCode::kHasWriter,
          "somebody else is typing on this console");
      return;
    }
    if (writer_ != nullptr) {
      writer_->role = console::Role::kObserver;
      writer_->held_input.clear();
      writer_->urgent_notice =
          console::RoleChange{.role = console::Role::kObserver};
      if (writer_->has_hung_up) {
        Remove(writer_);
      } else {
        Wake(writer_);
      }
    }
    writer_ = viewer;
  }
  viewer->is_attached = true;
  viewer->role = attach.role;
  const bool goes_on = attach.resumes && attach.epoch == ring_->epoch() &&
                       attach.position <= ring_->end();
  viewer->position = goes_on ? attach.position : ring_->begin();
  viewer->urgent_notice = console::Attached{.version = console::kVersion,
                                            .role = viewer->role,
                                            .has_guest = has_guest_,
                                            .epoch = ring_->epoch(),
                                            .position = viewer->position};
}

void Viewers::End(Viewer* viewer, console::ErrorCode code,
                  absl::string_view message) {
  const std::string packet = console::Encode(console::Error{
      .code = static_cast<uint16_t>(code), .message = std::string(message)});
  // It is closed in any case.
  (void)SendPieces(viewer->fd.get(), packet, {});
  Remove(viewer);
}

absl::Status Viewers::Send(Viewer* viewer) {
  bool has_more = !viewer->has_hung_up;
  for (int i = 0; i < kMaxPacketsInARow && has_more && !viewer->is_dead; ++i) {
    const absl::StatusOr<bool> is_sent = SendOne(viewer);
    has_more = is_sent.value_or(false);
    if (!is_sent.ok()) break;  // no room
  }
  if (viewer->is_dead || !viewer->source.is_active()) return absl::OkStatus();
  const bool wants_out =
      !viewer->has_hung_up &&
      (viewer->urgent_notice.has_value() || viewer->guest_notice.has_value() ||
       (viewer->is_attached && viewer->position < ring_->end()));
  const uint32_t interest =
      (viewer->held_input.empty() ? EPOLLIN : 0U) | (wants_out ? EPOLLOUT : 0U);
  if (interest == viewer->interest) return absl::OkStatus();
  viewer->interest = interest;
  return viewer->source.SetEvents(interest);
}

absl::StatusOr<bool> Viewers::SendOne(Viewer* viewer) {
  std::string head;
  std::array<absl::string_view, 2> body;
  uint64_t next = viewer->position;
  const bool is_urgent = viewer->urgent_notice.has_value();
  const bool is_guest_notice =
      !is_urgent && viewer->guest_notice.has_value() &&
      viewer->position >= viewer->guest_notice->position;
  if (is_urgent) {
    head = console::Encode(*viewer->urgent_notice);
  } else if (is_guest_notice) {
    head = console::Encode(viewer->guest_notice->message);
  } else if (!viewer->is_attached || viewer->position >= ring_->end()) {
    return false;
  } else if (viewer->position < ring_->begin()) {
    next = ring_->begin();
    head = console::Encode(console::Lost{.from = viewer->position, .to = next});
  } else {
    uint64_t max = console::kMaxOutputBytes;
    if (viewer->guest_notice.has_value()) {
      max = std::min(max, viewer->guest_notice->position - viewer->position);
    }
    head = console::EncodeOutputHead(viewer->position);
    body = ring_->Peek(viewer->position, max);
    next = viewer->position + body[0].size() + body[1].size();
  }
  switch (SendPieces(viewer->fd.get(), head, body)) {
    case SendResult::kSent:
      break;
    case SendResult::kLater:
      return absl::UnavailableError("the viewer is slow");
    case SendResult::kHungUp:
      viewer->has_hung_up = true;
      return false;
    case SendResult::kFailed:
      Remove(viewer);
      return false;
  }
  viewer->position = next;
  if (is_urgent) viewer->urgent_notice.reset();
  if (is_guest_notice) viewer->guest_notice.reset();
  return true;
}

void Viewers::Wake(Viewer* viewer) {
  if (viewer->is_dead || viewer->has_hung_up ||
      (viewer->interest & EPOLLOUT) != 0) {
    return;
  }
  viewer->interest |= EPOLLOUT;
  // One that cannot be watched any more is of no use.
  if (!viewer->source.SetEvents(viewer->interest).ok()) Remove(viewer);
}

absl::Status Viewers::OnOutput() {
  for (const auto& viewer : viewers_) {
    // One that waits for room is sent more when it has some.
    if (viewer->is_attached && (viewer->interest & EPOLLOUT) == 0) {
      VMSILO_RETURN_IF_ERROR(Send(viewer.get()));
    }
  }
  RemoveDead();
  return absl::OkStatus();
}

void Viewers::OnGuest(bool is_connected) {
  has_guest_ = is_connected;
  for (const auto& viewer : viewers_) {
    if (!viewer->is_attached) continue;
    viewer->guest_notice =
        Viewer::Notice{.position = ring_->end(),
                       .message = console::Guest{.is_connected = is_connected}};
    Wake(viewer.get());
  }
  RemoveDead();
}

void Viewers::OnRoomForInput() {
  if (writer_ == nullptr || writer_->held_input.empty()) return;
  // Not held any more while it is taken: once the guest has it, we are called
  // again, from within TakeInput().
  std::string input = std::exchange(writer_->held_input, {});
  if (!console_->TakeInput(input)) {
    writer_->held_input = std::move(input);
    return;
  }
  // Sets the interest in more of it as well.
  if (!writer_->has_hung_up) {
    Wake(writer_);
  } else if (!Watch(writer_).ok()) {
    Remove(writer_);  // as in Wake()
  }
  RemoveDead();
}

void Viewers::Remove(Viewer* viewer) {
  viewer->is_dead = true;
  if (writer_ == viewer) writer_ = nullptr;
}

void Viewers::RemoveDead() {
  for (auto viewer = viewers_.begin(); viewer != viewers_.end();) {
    viewer = (*viewer)->is_dead ? viewers_.erase(viewer) : std::next(viewer);
  }
}

}  // namespace vmsilo::console_relay
