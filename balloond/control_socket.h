#pragma once

#include <sys/types.h>

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "balloon/message.h"
#include "common/acceptor.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"

namespace vmsilo::balloond {

// Whether a process of `peer` may ask one of `self` that works for `owner`.
bool MayAsk(uid_t peer, uid_t self, std::optional<uid_t> owner);

// Answers people: the protocol of docs/balloon-protocol.md on a stream socket.
// Root, this process's own user and one more may ask; others are told so. Each
// has one answer under way at a time: who does not read is not listened to
// either, and misses what happened meanwhile.
class ControlSocket {
 public:
  // What there is to say, and to do.
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual balloon::Status GetStatus() = 0;
    virtual std::string GetMetrics() = 0;
    virtual absl::Status Set(const balloon::SetRequest& request) = 0;
  };

  // Borrows `loop` and `handler`.
  ControlSocket(EventLoop* loop, UniqueFd listener, std::optional<uid_t> owner,
                Handler* handler);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  absl::Status Start();

  // Something has changed: those who watch are told.
  void Publish();

 private:
  struct Client;

  absl::Status TakeClient(UniqueFd fd);
  absl::Status OnEvents(Client* client, uint32_t events);
  void Read(Client* client);
  void OnRequests(Client* client);
  void OnLine(Client* client, absl::string_view line);
  // Sends what there is to send, as far as it goes.
  void Send(Client* client);
  // Answers with an error, and hangs up.
  void Refuse(Client* client, const absl::Status& error);
  void RemoveDead();

  EventLoop* loop_;
  std::optional<uid_t> owner_;
  Handler* handler_;
  std::list<std::unique_ptr<Client>> clients_;
  Acceptor acceptor_;
};

}  // namespace vmsilo::balloond
