#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace vmsilo::config {

// A hash whose value is part of the configuration's meaning: CIDs, MAC
// addresses and shortened names come from it, so it never changes. FNV-1a, 64
// bits, with a final mix that spreads short names over all bits
// (MurmurHash3's fmix64).
constexpr uint64_t StableHash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace vmsilo::config
