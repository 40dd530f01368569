#include "common/value.h"

#include <algorithm>
#include <iterator>

namespace vmsilo {

Value::Value(Array value, Position at) : data_(std::move(value)), at_(at) {}

Value::Value(Table members, Position at) : data_(std::move(members)), at_(at) {
  SortMembers(std::get<Table>(data_));
}

Value Value::Null(Position at) {
  Value value;
  value.at_ = at;
  return value;
}

Value Value::DateTime(std::string text, Position at) {
  Value value;
  value.data_ = DateTimeText{std::move(text)};
  value.at_ = at;
  return value;
}

absl::string_view Value::KindName() const {
  switch (kind()) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kInteger:
    case Kind::kUnsigned:
      return "an integer";
    case Kind::kReal:
      return "a number with a fraction";
    case Kind::kString:
      return "a string";
    case Kind::kDateTime:
      return "a date or time";
    case Kind::kArray:
      return "an array";
    case Kind::kTable:
      return "a table";
  }
  return "nothing";
}

const std::string* Value::AsDateTime() const {
  const DateTimeText* value = std::get_if<DateTimeText>(&data_);
  return value == nullptr ? nullptr : &value->text;
}

const Value::Member* Value::FindMember(absl::string_view key) const {
  const Table* table = AsTable();
  if (table == nullptr) return nullptr;
  const auto found = FindInTable(*table, key);
  return found == table->end() ? nullptr : &*found;
}

const Value* Value::Find(absl::string_view key) const {
  const Member* member = FindMember(key);
  return member == nullptr ? nullptr : &member->value;
}

bool operator==(const Value& a, const Value& b) { return a.data_ == b.data_; }

Value::Table SortMembers(Value::Table& members) {
  const auto by_key = [](const Value::Member& a, const Value::Member& b) {
    return a.key < b.key;
  };
  if (!std::is_sorted(members.begin(), members.end(), by_key)) {
    std::stable_sort(members.begin(), members.end(), by_key);
  }
  Value::Table duplicates;
  size_t kept = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    if (kept > 0 && members[kept - 1].key == members[i].key) {
      duplicates.push_back(std::move(members[i]));
      continue;
    }
    if (kept != i) members[kept] = std::move(members[i]);
    ++kept;
  }
  members.resize(kept);
  return duplicates;
}

Value::Table::const_iterator FindInTable(const Value::Table& table,
                                         absl::string_view key) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), key,
      [](const Value::Member& member, absl::string_view wanted) {
        return member.key < wanted;
      });
  return found != table.end() && found->key == key ? found : table.end();
}

void MergeValue(Value& base, Value over) {
  Value::Table* base_table = base.AsTable();
  Value::Table* over_table = over.AsTable();
  if (base_table == nullptr || over_table == nullptr) {
    base = std::move(over);
    return;
  }
  Value::Table merged;
  merged.reserve(base_table->size() + over_table->size());
  auto left = base_table->begin();
  auto right = over_table->begin();
  while (left != base_table->end() || right != over_table->end()) {
    if (right == over_table->end() ||
        (left != base_table->end() && left->key < right->key)) {
      merged.push_back(std::move(*left++));
    } else if (left == base_table->end() || right->key < left->key) {
      merged.push_back(std::move(*right++));
    } else {
      MergeValue(left->value, std::move(right->value));
      // The later file is where the key was last set.
      if (!left->value.is_table()) left->at = right->at;
      merged.push_back(std::move(*left));
      ++left;
      ++right;
    }
  }
  *base_table = std::move(merged);
}

}  // namespace vmsilo
