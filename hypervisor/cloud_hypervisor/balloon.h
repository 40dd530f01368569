#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "hypervisor/balloon_conversation.h"
#include "hypervisor/client.h"
#include "hypervisor/cloud_hypervisor/http.h"

// The balloon in Cloud Hypervisor's API.
namespace vmsilo::hypervisor::cloud_hypervisor {

// What vm.info says that matters here. Missing figures are absent.
struct VmMemory {
  bool is_running = false;  // or paused
  bool has_balloon = false;
  Bytes configured;
  Bytes actual;  // what the balloon has left
};
// Absent if `body` is no vm.info.
std::optional<VmMemory> ParseVmMemory(absl::string_view body);

// One request at a time, since answers have no ids; those for later wait.
//
// Versions before 54 have no statistics. That, and the VM's memory, is found
// out once a connection; without statistics a sample is vm.info's, which says
// nothing of the guest but how far its balloon has got.
class ApiBalloonConversation final : public BalloonConversation {
 public:
  Step Query(absl::Time now) override;
  bool is_asking() const override { return asked_.has_value(); }
  Step SetSize(Bytes size) override;
  absl::StatusOr<Step> Receive(absl::string_view bytes,
                               absl::Time now) override;
  GivenUp GiveUp(Call call) override;
  absl::Status ReceiveEnd() override;

 private:
  enum class Request { kInfo, kStatistics, kResize };

  // Sends what comes next, if nothing is under way.
  void SendNext(Step* step);
  absl::Status OnInfo(const HttpResponse& response, Step* step);
  absl::Status OnStatistics(const HttpResponse& response, absl::Time now,
                            Step* step);
  void Finish(absl::StatusOr<BalloonSample> sample, Step* step);

  HttpReader reader_;
  std::optional<Request> current_;
  std::optional<absl::Time> asked_;
  std::optional<Bytes> wanted_size_;
  bool has_statistics_ = true;
  std::optional<VmMemory> memory_;
};

}  // namespace vmsilo::hypervisor::cloud_hypervisor
