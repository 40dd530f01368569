#include "config/reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/escape.h"

namespace vmsilo::config {
namespace {

// A list of keys that fits on a line is more help than a reference.
constexpr size_t kMaxListedKeys = 8;
// As much of a wrong value as helps to recognise it.
constexpr size_t kMaxShownBytes = 60;

bool IsBareKey(absl::string_view key) {
  return !key.empty() &&
         std::all_of(key.begin(), key.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '_' || c == '-';
         });
}

std::string Found(const Value& value) {
  if (const std::string* text = value.AsString()) {
    return Quoted(*text, kMaxShownBytes);
  }
  if (const int64_t* number = value.AsInteger()) return absl::StrCat(*number);
  if (const uint64_t* number = value.AsUnsigned()) return absl::StrCat(*number);
  if (const double* number = value.AsReal()) return absl::StrCat(*number);
  if (const bool* truth = value.AsBool()) return *truth ? "true" : "false";
  return std::string(value.KindName());
}

}  // namespace

std::string JoinKey(absl::string_view parent, absl::string_view key) {
  return absl::StrCat(
      parent, parent.empty() ? "" : ".",
      IsBareKey(key) ? std::string(key)
                     : absl::StrCat("\"", Escaped(key, kMaxShownBytes), "\""));
}

std::string Reader::path() const {
  std::string path;
  for (const Segment& step : steps_) {
    if (step.key.data() == nullptr) {
      absl::StrAppend(&path, "[", step.index, "]");
    } else {
      path = JoinKey(path, step.key);
    }
  }
  return path;
}

void Reader::Error(Position at, std::string message) {
  sink_->Add(Severity::kError, at, sink_->is_full() ? "" : path(),
             std::move(message));
}

bool Reader::Expected(const Value& found, absl::string_view expected) {
  Error(found.at(),
        absl::StrCat("expected ", expected, ", not ", Found(found)));
  return false;
}

bool Reader::ReadTable(const TableSchema& schema, const Value& value,
                       void* object) {
  const Value::Table* table = value.AsTable();
  if (table == nullptr) return Expected(value, "a table");
  size_t known = 0;
  for (const Option& option : schema.options) {
    const auto member = FindInTable(*table, option.key);
    // null is how a generator says that it has nothing to say.
    const bool is_set = member != table->end() && !member->value.is_null();
    if (member != table->end()) ++known;
    if (!is_set) {
      if (option.is_required) {
        Error(value.at(),
              absl::StrCat("the key '", option.key, "' is missing"));
      }
      continue;
    }
    const Step step(*this, option.key);
    if (option.has_no_effect) {
      NoEffect(option, *member);
    } else {
      option.read(*this, member->value, object);
    }
  }
  if (known == table->size()) return true;
  for (const Value::Member& member : *table) {
    const bool is_known = std::any_of(
        schema.options.begin(), schema.options.end(),
        [&member](const Option& option) { return option.key == member.key; });
    if (!is_known) UnknownKey(schema, member);
  }
  return true;
}

void Reader::UnknownKey(const TableSchema& schema,
                        const Value::Member& member) {
  if (sink_->is_full()) {
    sink_->Add(Severity::kError, member.at, "", "");
    return;
  }
  const Step step(*this, member.key);
  std::vector<absl::string_view> keys;
  for (const Option& option : schema.options) {
    if (!option.has_no_effect) keys.push_back(option.key);
  }
  const absl::string_view nearest = Nearest(member.key, keys);
  if (!nearest.empty()) {
    Error(member.at,
          absl::StrCat("unknown key; did you mean '", nearest, "'?"));
  } else if (keys.size() <= kMaxListedKeys) {
    Error(member.at, absl::StrCat("unknown key; there are '",
                                  absl::StrJoin(keys, "', '"), "'"));
  } else {
    Error(member.at,
          absl::StrCat("unknown key; vmsilo.toml(5) lists the keys of ",
                       schema.path.empty()
                           ? std::string("the file's top level")
                           : absl::StrCat("'", schema.path, "'")));
  }
}

void Reader::NoEffect(const Option& option, const Value::Member& member) {
  // With a hundred silos, one note is enough.
  if (std::find(noted_.begin(), noted_.end(), &option) != noted_.end()) return;
  noted_.push_back(&option);
  sink_->Add(Severity::kNote, member.at, path(),
             absl::StrCat("accepted, but without effect: ",
                          absl::StripSuffix(option.doc, ".")));
}

}  // namespace vmsilo::config
