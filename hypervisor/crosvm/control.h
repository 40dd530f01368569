#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/value.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"

// crosvm's control socket: one JSON text a packet, the shapes of VmRequest and
// VmResponse (crosvm
// vm_control/src/lib.rs@f1e797a68dada35cbafef8d0cfae36bacfaea85e).
namespace vmsilo::hypervisor::crosvm {

// The bytes of one request. crosvm answers nothing at all to what it does not
// understand, so a typing error here would look like a hung VM.
std::string EncodeRequest(Request request);

// What a packet says: anything but a refusal. Unimplemented: this VM has no
// such device. Unavailable: its driver is not there (yet). FailedPrecondition:
// any other refusal. DataLoss: not JSON.
absl::StatusOr<Value> ParseAnswer(absl::string_view packet);

// DataLoss: `packet` is no answer to what was asked.
absl::Status UnexpectedAnswer(absl::string_view packet);

// One request and its answer. There are no ids.
//
// There is no request for the state of a VM, nor for the version: what is asked
// instead is which threads its virtual CPUs have. crosvm before July 2024
// answers that with silence, as it does everything unknown.
class ControlConversation final : public Conversation {
 public:
  explicit ControlConversation(Request request) : request_(request) {}

  std::string Begin() override { return EncodeRequest(request_); }
  absl::StatusOr<Step> Receive(absl::string_view packet) override;
  absl::Status ReceiveEnd() override;
  VmStatus status() const override { return status_; }

 private:
  Request request_;
  VmStatus status_;
};

}  // namespace vmsilo::hypervisor::crosvm
