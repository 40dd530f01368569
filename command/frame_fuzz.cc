#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "command/frame.h"
#include "command/limits.h"

namespace {

using vmsilo::command::AppendFrame;
using vmsilo::command::Decoder;
using vmsilo::command::Frame;

struct Result {
  bool is_ok = true;
  std::string printed;  // all frames, as this side would send them
};

Result Decode(absl::string_view bytes, size_t piece) {
  Decoder decoder;
  Result result;
  while (!bytes.empty()) {
    absl::string_view input = bytes.substr(0, piece);
    bytes.remove_prefix(input.size());
    for (;;) {
      const auto frame = decoder.Next(&input);
      if (!frame.ok()) {
        result.is_ok = false;
        return result;
      }
      if (!frame->has_value()) break;
      AppendFrame(**frame, &result.printed);
    }
    if (!input.empty()) abort();  // it asks for more and has some left
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result whole = Decode(bytes, size + 1);
  // However the bytes arrive, they mean the same.
  for (const size_t piece : {1, 7}) {
    const Result pieces = Decode(bytes, piece);
    if (pieces.is_ok != whole.is_ok || pieces.printed != whole.printed) abort();
  }
  // Print and parse are inverses: what was understood is printed as something
  // that is understood as the same.
  const Result again = Decode(whole.printed, whole.printed.size() + 1);
  if (!again.is_ok || again.printed != whole.printed) abort();
  // Unknown and oversized parts are dropped, nothing is made up.
  if (whole.printed.size() > size) abort();
  return 0;
}
