#include "balloond/control_socket.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "balloon/limits.h"
#include "balloon/message.h"
#include "common/event_loop.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {
namespace {

absl::StatusOr<uid_t> PeerOf(int connection) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoStatus("ask who has connected");
  }
  return peer.uid;
}

// False if the other side has gone.
bool SendSome(int fd, std::string* text) {
  while (!text->empty()) {
    const ssize_t sent =
        send(fd, text->data(), text->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == ENOBUFS;
    }
    text->erase(0, static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace

bool MayAsk(uid_t peer, uid_t self, std::optional<uid_t> owner) {
  return peer == 0 || peer == self || peer == owner;
}

struct ControlSocket::Client {
  UniqueFd fd;
  std::string unread;  // at most one request and what came with it
  std::string unsent;
  bool watches = false;
  // It watches, and there is something new to say.
  bool has_news = false;
  // It says nothing more; it gets what is under way.
  bool has_ended = false;
  bool is_dead = false;
  uint32_t interest = EPOLLIN;
  Source source;
};

ControlSocket::ControlSocket(EventLoop* loop, UniqueFd listener,
                             std::optional<uid_t> owner, Handler* handler)
    : loop_(loop),
      owner_(owner),
      handler_(handler),
      acceptor_(loop, std::move(listener), "a connection of the control socket",
                [this](UniqueFd fd) { return TakeClient(std::move(fd)); }) {}

ControlSocket::~ControlSocket() = default;

absl::Status ControlSocket::Start() { return acceptor_.Start(); }

absl::Status ControlSocket::TakeClient(UniqueFd fd) {
  Client client;
  client.fd = std::move(fd);
  const absl::StatusOr<uid_t> peer = PeerOf(client.fd.get());
  if (!peer.ok() || !MayAsk(*peer, geteuid(), owner_)) {
    Refuse(&client, absl::PermissionDeniedError(
                        "only the desktop user and root may ask"));
    return absl::OkStatus();
  }
  if (clients_.size() >= balloon::kMaxClients) {
    Refuse(&client,
           absl::ResourceExhaustedError(absl::StrCat(
               "there are ", clients_.size(), " connections already")));
    return absl::OkStatus();
  }
  clients_.push_back(std::make_unique<Client>(std::move(client)));
  Client* const added = clients_.back().get();
  absl::StatusOr<Source> source = loop_->AddIo(
      added->fd.get(), EPOLLIN,
      [this, added](uint32_t events) { return OnEvents(added, events); });
  if (source.ok()) {
    added->source = *std::move(source);
  } else {
    Refuse(added, source.status());
    RemoveDead();
  }
  return absl::OkStatus();
}

absl::Status ControlSocket::OnEvents(Client* client, uint32_t events) {
  if ((events & EPOLLERR) != 0) {
    client->is_dead = true;
  } else if ((events & (EPOLLIN | EPOLLHUP)) != 0 &&
             (client->interest & EPOLLIN) != 0) {
    Read(client);
  }
  Send(client);
  RemoveDead();
  return absl::OkStatus();
}

void ControlSocket::Read(Client* client) {
  std::array<char, balloon::kMaxRequestBytes> buffer;
  const ssize_t size =
      recv(client->fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) {
    if (errno != EAGAIN && errno != EINTR) client->is_dead = true;
    return;
  }
  if (size == 0) {
    client->has_ended = true;
    return;
  }
  client->unread.append(buffer.data(), static_cast<size_t>(size));
  OnRequests(client);
}

void ControlSocket::OnRequests(Client* client) {
  while (client->unsent.empty() && !client->is_dead) {
    const size_t end = client->unread.find('\n');
    if (end == std::string::npos) {
      if (client->unread.size() > balloon::kMaxRequestBytes) {
        Refuse(client, absl::InvalidArgumentError(
                           absl::StrCat("a request of more than ",
                                        balloon::kMaxRequestBytes, " bytes")));
      }
      return;
    }
    const std::string line = client->unread.substr(0, end);
    client->unread.erase(0, end + 1);
    OnLine(client, line);
  }
}

void ControlSocket::OnLine(Client* client, absl::string_view line) {
  const absl::StatusOr<balloon::Request> request = balloon::DecodeRequest(line);
  if (!request.ok()) return Refuse(client, request.status());
  if (const auto* set = std::get_if<balloon::SetRequest>(&*request)) {
    const absl::Status status = handler_->Set(*set);
    client->unsent = status.ok() ? balloon::Encode(balloon::Done())
                                 : balloon::EncodeError(status);
    return;
  }
  if (std::holds_alternative<balloon::WatchRequest>(*request)) {
    client->watches = true;
    client->has_news = true;
    return;
  }
  client->unsent =
      std::holds_alternative<balloon::MetricsRequest>(*request)
          ? balloon::Encode(balloon::Metrics{.text = handler_->GetMetrics()})
          : balloon::Encode(handler_->GetStatus());
  // The other side would not take it.
  if (client->unsent.size() > balloon::kMaxAnswerBytes) {
    client->unsent = balloon::EncodeError(
        absl::ResourceExhaustedError("the answer is too long"));
  }
}

void ControlSocket::Send(Client* client) {
  while (!client->is_dead) {
    if (client->unsent.empty() && std::exchange(client->has_news, false)) {
      client->unsent = balloon::Encode(handler_->GetStatus());
    }
    if (!SendSome(client->fd.get(), &client->unsent)) {
      client->is_dead = true;
      return;
    }
    if (!client->unsent.empty()) break;  // no room
    if (client->has_ended) {
      client->is_dead = true;
      return;
    }
    OnRequests(client);
    if (client->unsent.empty() && !client->has_news) break;
  }
  if (client->is_dead) return;
  const uint32_t interest = client->unsent.empty() ? EPOLLIN : EPOLLOUT;
  if (interest == client->interest) return;
  client->interest = interest;
  // One that cannot be watched any more is of no use.
  if (!client->source.SetEvents(interest).ok()) client->is_dead = true;
}

void ControlSocket::Refuse(Client* client, const absl::Status& error) {
  std::string text = balloon::EncodeError(error);
  // It is closed in any case.
  (void)SendSome(client->fd.get(), &text);
  client->is_dead = true;
}

void ControlSocket::Publish() {
  for (const std::unique_ptr<Client>& client : clients_) {
    if (!client->watches) continue;
    client->has_news = true;
    Send(client.get());
  }
  RemoveDead();
}

void ControlSocket::RemoveDead() {
  clients_.remove_if([](const auto& client) { return client->is_dead; });
}

}  // namespace vmsilo::balloond
