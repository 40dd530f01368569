#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/acceptor.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "console-relay/ring.h"
#include "console/limits.h"
#include "console/message.h"

namespace vmsilo::console_relay {

// Those who look at the console over a socket (docs/console-protocol.md): many
// at once, each at its own pace. One that is slow loses bytes, is told which,
// and holds up nobody. They are sent from the ring; none has a queue.
class Viewers {
 public:
  // What the relay does for a viewer.
  class Console {
   public:
    virtual ~Console() = default;
    // False if there is no room now; OnRoomForInput() tells when there is.
    virtual bool TakeInput(absl::string_view bytes) = 0;
    virtual void Resize(const console::WindowSize& size) = 0;
    // Everything but what Viewers itself knows.
    virtual console::Status GetStatus() const = 0;
  };

  // `listener` is a listening, non-blocking SOCK_SEQPACKET socket. The others
  // are borrowed.
  Viewers(EventLoop* loop, UniqueFd listener, const Ring* ring,
          Console* console);
  ~Viewers();
  Viewers(const Viewers&) = delete;
  Viewers& operator=(const Viewers&) = delete;

  absl::Status Start();

  // The ring has grown.
  absl::Status OnOutput();
  // The virtual machine has come or gone.
  void OnGuest(bool is_connected);
  // There is room for input again.
  void OnRoomForInput();

 private:
  struct Viewer;

  absl::Status TakeViewer(UniqueFd fd);
  // Has OnEvents() called when the viewer has sent something.
  absl::Status Watch(Viewer* viewer);
  absl::Status OnEvents(Viewer* viewer, uint32_t events);
  void Read(Viewer* viewer);
  void OnPacket(Viewer* viewer, absl::string_view packet);
  void Attach(Viewer* viewer, const console::Attach& attach);
  // Sends what the viewer's socket takes, and has it woken for the rest.
  absl::Status Send(Viewer* viewer);
  // Whether there was anything; Unavailable if there was no room for it.
  absl::StatusOr<bool> SendOne(Viewer* viewer);
  // Has Send() called from the loop.
  void Wake(Viewer* viewer);
  // Tells why, and removes.
  void End(Viewer* viewer, console::ErrorCode code, absl::string_view message);
  // Marks it: it may be in use just now.
  void Remove(Viewer* viewer);
  void RemoveDead();

  EventLoop* loop_;
  const Ring* ring_;
  Console* console_;
  bool has_guest_ = false;
  std::list<std::unique_ptr<Viewer>> viewers_;
  Viewer* writer_ = nullptr;
  Acceptor acceptor_;
};

}  // namespace vmsilo::console_relay
