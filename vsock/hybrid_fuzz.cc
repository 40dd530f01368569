#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "vsock/hybrid.h"

namespace {

struct Result {
  bool is_done = false;
  size_t consumed = 0;
};

// Reads in pieces of `size` bytes until the reader is done, fails or has all.
Result ReadInPieces(absl::string_view bytes, size_t size) {
  vmsilo::vsock::ReplyReader reader;
  Result result;
  while (result.consumed < bytes.size() && !result.is_done) {
    const auto progress = reader.Read(bytes.substr(result.consumed, size));
    if (!progress.ok()) return Result{};
    if (!progress->is_done &&
        progress->consumed != bytes.substr(result.consumed, size).size()) {
      abort();  // it must take everything while it is not done
    }
    result.consumed += progress->consumed;
    result.is_done = progress->is_done;
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  // However the bytes arrive, the outcome is the same.
  const Result whole = ReadInPieces(bytes, size + 1);
  const Result single = ReadInPieces(bytes, 1);
  if (whole.is_done != single.is_done) abort();
  if (whole.is_done) {
    if (whole.consumed != single.consumed) abort();
    if (whole.consumed > vmsilo::vsock::kMaxReplyBytes) abort();
    if (bytes[whole.consumed - 1] != '\n') abort();
  }
  return 0;
}
