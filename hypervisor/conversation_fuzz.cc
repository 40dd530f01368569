// All three codecs, with bytes of anybody's: whatever comes, and however it is
// cut, a conversation says the same, and holds no more than its limits. The
// first byte chooses the hypervisor and the request, the second the pieces.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "hypervisor/cloud_hypervisor/api.h"
#include "hypervisor/conversation.h"
#include "hypervisor/crosvm/control.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/testing/conversation_driver.h"

namespace {

using vmsilo::hypervisor::Conversation;
using vmsilo::hypervisor::Request;
using vmsilo::hypervisor::Transcript;

void Require(bool condition) {
  if (!condition) abort();
}

std::unique_ptr<Conversation> Make(int kind, Request request) {
  using namespace vmsilo::hypervisor;  // NOLINT: three names of one level
  switch (kind) {
    case 0:
      return std::make_unique<qemu::QmpConversation>(request);
    case 1:
      return std::make_unique<cloud_hypervisor::ApiConversation>(request);
    default:
      return std::make_unique<crosvm::ControlConversation>(request);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const int kind = data[0] % 3;
  const auto request = static_cast<Request>(data[0] / 3 % 4);
  const absl::string_view bytes(reinterpret_cast<const char*>(data + 2),
                                size - 2);

  const std::unique_ptr<Conversation> whole = Make(kind, request);
  const Transcript one =
      vmsilo::hypervisor::Drive(whole.get(), {std::string(bytes)});
  Require(!(one.is_done && !one.status.ok()));
  // Foreign bytes in messages are escaped.
  for (const char c : one.status.message()) Require(c >= 0x20 && c < 0x7f);
  Require(one.status.message().size() < 2000);
  (void)whole->ReceiveEnd();

  // A packet cannot be cut. An answer of which everything has come may end a
  // conversation before the bytes after it do, where those are an error.
  if (kind == 2) return 0;
  std::vector<std::string> pieces;
  const size_t step = 1 + data[1] % 16;
  for (size_t i = 0; i < bytes.size(); i += step) {
    pieces.emplace_back(bytes.substr(i, step));
  }
  const std::unique_ptr<Conversation> cut = Make(kind, request);
  const Transcript many = vmsilo::hypervisor::Drive(cut.get(), pieces);
  if (one.is_done) {
    Require(many.is_done);
    Require(many.sent == one.sent);
    Require(many.vm == one.vm);
  } else if (one.status.ok()) {
    Require(!many.is_done && many.status.ok());
    Require(many.sent == one.sent);
  }
  return 0;
}
