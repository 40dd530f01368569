#include "config/locate.h"

#include "absl/strings/str_cat.h"
#include "config/reader.h"

namespace vmsilo::config {
namespace {

// The value at the key, or null; `location` gets what Locate() returns.
const Value* Walk(const Value& tree,
                  std::initializer_list<absl::string_view> path,
                  Location& location) {
  const Value* value = &tree;
  location.at = tree.at();
  for (absl::string_view part : path) {
    location.key = JoinKey(location.key, part);
    const Value::Member* member =
        value == nullptr ? nullptr : value->FindMember(part);
    value = member == nullptr ? nullptr : &member->value;
    if (member != nullptr) location.at = member->at;
  }
  return value;
}

}  // namespace

Location Locate(const Value& tree,
                std::initializer_list<absl::string_view> path) {
  Location location;
  Walk(tree, path, location);
  return location;
}

Location LocateElement(const Value& tree,
                       std::initializer_list<absl::string_view> path,
                       size_t index) {
  Location location;
  const Value* value = Walk(tree, path, location);
  absl::StrAppend(&location.key, "[", index, "]");
  const Value::Array* array = value == nullptr ? nullptr : value->AsArray();
  if (array != nullptr && index < array->size()) {
    location.at = (*array)[index].at();
  }
  return location;
}

bool IsSet(const Value& tree, std::initializer_list<absl::string_view> path) {
  const Value* value = &tree;
  for (absl::string_view part : path) {
    if (value == nullptr) return false;
    value = value->Find(part);
  }
  return value != nullptr && !value->is_null();
}

}  // namespace vmsilo::config
