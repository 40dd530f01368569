#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/unique_fd.h"
#include "common/value.h"
#include "config/config.h"
#include "hypervisor/testing/fake_balloon.h"

namespace vmsilo::hypervisor {

// What a fake does instead of answering a request as it should. Every one of
// them has been seen, or follows from how the real servers are written.
enum class Fault {
  kNone,
  kSilence,    // crosvm's answer to what it does not know; a hung VM's
  kEnd,        // closes without an answer
  kReset,      // closes with the request unread
  kNoJson,     // something that is not JSON, or not HTTP
  kUnknown,    // well-formed, of no known kind
  kWrongId,    // QEMU: the answer to another command
  kError,      // refuses in its protocol's way
  kHuge,       // more than a client may be made to hold
  kTruncated,  // half of the answer, then the end
  kBytewise,   // the answer, a byte at a time, where it is a stream
  kExtraFds,   // the answer, with descriptors that nobody asked for
  kLate,       // the answer when AnswerLate() says so
};

// The control socket of a made-up VM, in the manner of one of the three
// hypervisors: framing, handshake, order of answers, what is answered with
// silence, how many clients are served.
class FakeHypervisor {
 public:
  FakeHypervisor(EventLoop* loop, config::Hypervisor kind, std::string path);
  ~FakeHypervisor();
  FakeHypervisor(const FakeHypervisor&) = delete;
  FakeHypervisor& operator=(const FakeHypervisor&) = delete;

  void set_fault(Fault fault) { fault_ = fault; }
  // QEMU's word for the state ("running"); the others' follow it.
  void set_state(std::string state) { state_ = std::move(state); }

  int power_button_presses() const { return presses_; }
  bool is_stopped() const { return is_stopped_; }
  size_t connections() const { return connections_.size(); }
  int accepted() const { return accepted_; }

  // How often QEMU tells that the balloon has changed.
  void set_change_interval(absl::Duration interval);

  // The guest does what the button asks for: the process ends.
  void set_powers_off(bool powers_off) { powers_off_ = powers_off; }

  // The guest, and its balloon's device.
  FakeBalloon& balloon() { return balloon_; }

  // Sends what kLate has held back, to whom is still there.
  void AnswerLate();
  // Ends as a process does: the connections, and the file if it is `clean`.
  void Die(bool clean);
  // Listens (again).
  void Listen();

 private:
  struct Connection;
  using QmpReply = std::function<void(absl::string_view value)>;
  using QmpRefusal = std::function<void(absl::string_view error_class,
                                        absl::string_view text)>;

  void OnConnection();
  void OnReadable(Connection* connection);
  // As much of what has arrived as is whole.
  void OnInput(uint64_t id);
  void OnGreet();
  void OnQmp(Connection* connection, absl::string_view line);
  void OnCrosvm(Connection* connection, absl::string_view packet);
  void OnHttp(Connection* connection, absl::string_view request);
  void OnQmpProperty(const Value& request, bool is_set, const QmpReply& reply,
                     const QmpRefusal& refuse);
  void OnQmpBalloon(const Value& request, bool is_set, const QmpReply& reply,
                    const QmpRefusal& refuse);
  void OnCrosvmBalloon(Connection* connection, absl::string_view packet);
  void OnHttpStats(Connection* connection);
  Connection* Find(uint64_t id);
  FakeBalloon::Reply ReplyTo(Connection* connection);
  void Answer(Connection* connection, const std::string& answer);
  void Send(Connection* connection, absl::string_view bytes, bool with_fds);
  void Close(Connection* connection);
  std::string HttpAnswer(int code, absl::string_view body) const;
  void PressPowerButton();

  EventLoop* loop_;
  config::Hypervisor kind_;
  std::string path_;
  Fault fault_ = Fault::kNone;
  std::string state_ = "running";
  bool powers_off_ = false;
  int presses_ = 0;
  int accepted_ = 0;
  bool is_stopped_ = false;
  UniqueFd listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  bool is_blocked_ = false;  // Cloud Hypervisor, by a guest that is asked
  FakeBalloon balloon_;
  Source listener_source_;
  Source later_source_;
};

}  // namespace vmsilo::hypervisor
