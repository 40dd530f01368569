#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace vmsilo {

// Appends an unsigned integer, lowest byte first.
template <typename T>
void AppendLittleEndian(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    out->push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}

// Takes values from the front of a message. A value that is not there makes
// the reader fail for good and is 0 or empty; callers ask once, at the end.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : bytes_(bytes) {}

  // An unsigned integer, lowest byte first.
  template <typename T>
  T Number() {
    const absl::string_view raw = Bytes(sizeof(T));
    T value = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      value |= static_cast<T>(static_cast<T>(static_cast<uint8_t>(raw[i]))
                              << (8 * i));
    }
    return value;
  }

  absl::string_view Bytes(size_t size) {
    if (size > bytes_.size()) {
      has_failed_ = true;
      bytes_ = {};
      return {};
    }
    const absl::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  absl::string_view Rest() { return Bytes(bytes_.size()); }
  bool has_failed() const { return has_failed_; }
  bool is_at_end() const { return !has_failed_ && bytes_.empty(); }

 private:
  absl::string_view bytes_;
  bool has_failed_ = false;
};

}  // namespace vmsilo
