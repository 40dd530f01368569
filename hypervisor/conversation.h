#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hypervisor/client.h"

namespace vmsilo::hypervisor {

enum class Request { kPressPowerButton, kStop, kPing, kQueryStatus };

// The longest answer that is read. Cloud Hypervisor's vm.info repeats the whole
// configuration, tens of kilobytes; the others stay below one.
inline constexpr size_t kMaxAnswerBytes = 1024 * 1024;

// One request on a fresh connection, up to its answer: the codec of a
// hypervisor. Pure; SocketClient does the I/O.
class Conversation {
 public:
  virtual ~Conversation() = default;

  // What to send once connected; "" to wait for the other side first.
  virtual std::string Begin() = 0;

  struct Step {
    std::string send;  // what to send now, if anything
    bool is_done = false;
  };

  // Bytes that arrived: any piece of a stream, or one whole packet. An error
  // ends the conversation; so does is_done, which means success.
  virtual absl::StatusOr<Step> Receive(absl::string_view bytes) = 0;

  // The other side has closed. OK where that is as good as an answer.
  virtual absl::Status ReceiveEnd() = 0;

  // After success.
  virtual VmStatus status() const { return {}; }
};

}  // namespace vmsilo::hypervisor
