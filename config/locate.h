#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"
#include "common/value.h"

namespace vmsilo::config {

// A key for a message: its path, and where it stands.
struct Location {
  std::string key;
  Position at;
};

// Where a key is in the tree; if it is not there, as near as possible: where
// the innermost table around it begins.
Location Locate(const Value& tree,
                std::initializer_list<absl::string_view> path);

// An element of the list at that key.
Location LocateElement(const Value& tree,
                       std::initializer_list<absl::string_view> path,
                       size_t index);

// Whether the file says something for a key (null is nothing).
bool IsSet(const Value& tree, std::initializer_list<absl::string_view> path);

}  // namespace vmsilo::config
