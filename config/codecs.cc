#include "config/codecs.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/escape.h"

namespace vmsilo::config {
namespace {

// systemd's limit for a unit's name (UNIT_NAME_MAX), and far more than any of
// its sections or keys has.
constexpr size_t kMaxUnitName = 255;

bool IsUnitWord(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxUnitName &&
         absl::ascii_isupper(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c); });
}

bool IsUnitName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxUnitName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains("_.-@:", c);
         });
}

// One value of a raw setting, as the text after "=".
bool ReadScalar(Reader& reader, const Value& value, std::string* out) {
  if (const bool* truth = value.AsBool()) {
    *out = *truth ? "yes" : "no";
  } else if (const int64_t* number = value.AsInteger()) {
    *out = absl::StrCat(*number);
  } else if (const double* real = value.AsReal();
             real != nullptr && std::isfinite(*real)) {
    *out = PrintReal(*real);
  } else if (const std::string* text = value.AsString();
             text == nullptr || !AcceptLine(*text, out)) {
    return reader.Expected(value,
                           "a boolean, a number, a string without line breaks "
                           "or a list of these");
  }
  return true;
}

void ReadSection(Reader& reader, const Value& value,
                 std::vector<UnitSetting>& out) {
  const Value::Table* table = value.AsTable();
  if (table == nullptr) {
    reader.Expected(value, "a table of settings");
    return;
  }
  if (!CheckMapSize(reader, value, *table)) return;
  for (const Value::Member& member : *table) {
    if (member.value.is_null()) continue;
    const Reader::Step step(reader, member.key);
    if (!IsUnitWord(member.key)) {
      reader.Error(member.at,
                   "a setting's name begins with a capital letter and has "
                   "letters and digits only");
      continue;
    }
    UnitSetting setting = {.key = member.key, .path = reader.path()};
    bool is_good = true;
    if (const Value::Array* array = member.value.AsArray()) {
      for (const Value& element : *array) {
        setting.values.emplace_back();
        is_good &= ReadScalar(reader, element, &setting.values.back());
      }
    } else {
      setting.values.emplace_back();
      is_good = ReadScalar(reader, member.value, &setting.values.back());
    }
    if (is_good) out.push_back(std::move(setting));
  }
}

}  // namespace

std::string OneOf(absl::Span<const absl::string_view> words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    absl::StrAppend(&out, "\"", words[i], "\"");
  }
  return out;
}

bool ExpectedWord(Reader& reader, const Value& value,
                  absl::Span<const absl::string_view> words) {
  return reader.Expected(value, OneOf(words));
}

bool CheckMapSize(Reader& reader, const Value& value,
                  const Value::Table& table) {
  if (table.size() <= kMaxMapEntries) return true;
  reader.Error(value.at(),
               absl::StrCat("more than ", kMaxMapEntries, " entries"));
  return false;
}

std::optional<int64_t> IntegerOf(const Value& value) {
  if (const int64_t* number = value.AsInteger()) return *number;
  // Beyond, not every integer is a double.
  constexpr double kMaxExact = int64_t{1} << 53;
  const double* real = value.AsReal();
  if (real == nullptr || !(std::abs(*real) <= kMaxExact) ||
      std::trunc(*real) != *real) {
    return std::nullopt;
  }
  return static_cast<int64_t>(*real);
}

bool SizeCodec::Read(Reader& reader, const Value& value, Bytes* out) {
  if (const std::string* text = value.AsString()) {
    const absl::StatusOr<Bytes> size = ParseSize(*text);
    if (size.ok()) {
      *out = *size;
      return true;
    }
  }
  return reader.Expected(value, "a size such as \"512M\" or \"1.5G\"");
}

bool MemoryCodec::Read(Reader& reader, const Value& value, Bytes* out) {
  std::optional<Bytes> size;
  if (const std::string* text = value.AsString()) {
    const absl::StatusOr<Bytes> parsed = ParseSize(*text);
    if (parsed.ok()) size = *parsed;
  } else if (const std::optional<int64_t> number = IntegerOf(value);
             number.has_value() && *number >= 0 &&
             static_cast<uint64_t>(*number) <= kMax.count() >> 20) {
    size = MiB(static_cast<uint64_t>(*number));
  }
  if (!size || *size < kMin || *size > kMax ||
      size->count() % MiB(1).count() != 0) {
    return reader.Expected(value,
                           "a size of whole MiB between \"16M\" and \"16T\", "
                           "such as \"2G\"");
  }
  *out = *size;
  return true;
}

std::string PrintReal(double value) {
  char buffer[32];
  const std::to_chars_result result =
      std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, result.ptr);
}

bool VersionCodec::Read(Reader& reader, const Value& value, Version* out) {
  constexpr uint32_t kMaxNumber = 9999;
  if (const std::string* text = value.AsString()) {
    const std::vector<absl::string_view> parts = absl::StrSplit(*text, '.');
    if (parts.size() == 2) {
      const auto major = ParseNumber<uint32_t>(parts[0], 0, kMaxNumber);
      const auto minor = ParseNumber<uint32_t>(parts[1], 0, kMaxNumber);
      if (major.ok() && minor.ok()) {
        *out = {*major, *minor};
        return true;
      }
    }
  }
  // A number would lose the last zero of 7.20.
  return reader.Expected(value, "a version as a string, such as \"7.2\"");
}

bool UnitsCodec::Read(Reader& reader, const Value& value, Type* out) {
  const Value::Table* units = value.AsTable();
  if (units == nullptr) return reader.Expected(value, "a table of units");
  if (!CheckMapSize(reader, value, *units)) return false;
  for (const Value::Member& unit : *units) {
    if (unit.value.is_null()) continue;
    const Reader::Step unit_step(reader, unit.key);
    if (!IsUnitName(unit.key)) {
      reader.Error(unit.at, "the key is not the name of a unit");
      continue;
    }
    const Value::Table* sections = unit.value.AsTable();
    if (sections == nullptr) {
      reader.Expected(unit.value, "a table of sections");
      continue;
    }
    UnitSettings& settings = (*out)[unit.key];
    for (const Value::Member& section : *sections) {
      if (section.value.is_null()) continue;
      const Reader::Step section_step(reader, section.key);
      if (!IsUnitWord(section.key)) {
        reader.Error(section.at,
                     "the key is not a section such as 'Unit' or 'Service'");
        continue;
      }
      ReadSection(reader, section.value, settings[section.key]);
    }
  }
  return true;
}

}  // namespace vmsilo::config
