#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/http.h"
#include "hypervisor/conversation.h"

// Cloud Hypervisor's API: vmm/src/api/openapi/cloud-hypervisor.yaml@ae44c2971.
namespace vmsilo::hypervisor::cloud_hypervisor {

// What the body of an error says: a JSON array of strings since v47, before
// that, and from the HTTP library itself, text. Foreign, escaped, for people:
// the words change between versions.
std::string ErrorText(absl::string_view body);

// The status for an answer that is not 2xx.
absl::Status ErrorOf(const HttpResponse& response);

// One request and its answer; for the VM's status two, since vm.info says
// nothing of the version.
class ApiConversation final : public Conversation {
 public:
  explicit ApiConversation(Request request);

  std::string Begin() override;
  absl::StatusOr<Step> Receive(absl::string_view bytes) override;
  absl::Status ReceiveEnd() override;
  VmStatus status() const override { return status_; }

 private:
  enum class Call { kPing, kInfo, kPowerButton, kShutdown };

  static std::string Encode(Call call);
  absl::Status OnPing(absl::string_view body);
  absl::Status OnInfo(const HttpResponse& response);

  Request request_;
  Call call_;
  HttpReader reader_;
  VmStatus status_;
};

}  // namespace vmsilo::hypervisor::cloud_hypervisor
