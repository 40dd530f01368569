// What anybody may send to the daemon, and what a file of root's may hold:
// whatever is understood comes back the same when it is written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "balloon/limits.h"
#include "balloon/message.h"
#include "balloon/vm_file.h"

namespace vmsilo::balloon {
namespace {

void Require(bool condition) {
  if (!condition) abort();
}

template <typename Decode>
void CheckMessage(absl::string_view line, const Decode& decode) {
  const auto message = decode(line);
  if (!message.ok()) return;
  const std::string text = Encode(*message);
  Require(text.find('\n') == text.size() - 1);
  const auto again = decode(absl::StripSuffix(text, "\n"));
  // Fractions are rounded, so that only the text is the same.
  if (!again.ok()) {
    Require(text.size() > kMaxAnswerBytes);
    return;
  }
  Require(Encode(*again) == text);
}

}  // namespace
}  // namespace vmsilo::balloon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace balloon = vmsilo::balloon;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  balloon::CheckMessage(text, balloon::DecodeRequest);
  balloon::CheckMessage(text, balloon::DecodeAnswer);
  const absl::StatusOr<balloon::VmFile> file = balloon::ParseVmFile(text);
  if (file.ok()) {
    const absl::StatusOr<balloon::VmFile> again =
        balloon::ParseVmFile(balloon::PrintVmFile(*file));
    balloon::Require(again.ok() && *again == *file);
  }
  return 0;
}
