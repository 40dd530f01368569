#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "console/message.h"

// What is understood is printed as something that is understood as the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view packet(reinterpret_cast<const char*>(data), size);
  if (const auto message = vmsilo::console::DecodeFromViewer(packet);
      message.ok()) {
    const std::string printed = vmsilo::console::Encode(*message);
    const auto again = vmsilo::console::DecodeFromViewer(printed);
    if (!again.ok() || *again != *message || printed.size() > size) abort();
  }
  if (const auto message = vmsilo::console::DecodeFromRelay(packet);
      message.ok()) {
    const std::string printed = vmsilo::console::Encode(*message);
    const auto again = vmsilo::console::DecodeFromRelay(printed);
    if (!again.ok() || *again != *message || printed.size() > size) abort();
  }
  return 0;
}
