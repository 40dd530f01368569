#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/json.h"
#include "common/parse_duration.h"
#include "common/parse_number.h"
#include "common/parse_size.h"
#include "common/value.h"
#include "config/config.h"
#include "config/enum_words.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/text_rules.h"

// The kinds of values that options have: what schema.cc composes its table
// from. A codec is a type with
//   using Type                                    what it reads into
//   static constexpr Shape kShape                 how values look
//   static bool Read(Reader&, const Value&, Type*) false after reporting
//   static std::string Print(const Type&)         as TOML; "" if there is none
namespace vmsilo::config {

// Longer lists are a mistake of a generator.
inline constexpr size_t kMaxListElements = 1000;
// The silos of one host; also of shares, interfaces and units.
inline constexpr size_t kMaxMapEntries = 2000;

struct BoolCodec {
  using Type = bool;
  static constexpr Shape kShape = {.kind = Shape::Kind::kBoolean,
                                   .name = "boolean"};
  static bool Read(Reader& reader, const Value& value, bool* out) {
    const bool* truth = value.AsBool();
    if (truth == nullptr) return reader.Expected(value, "true or false");
    *out = *truth;
    return true;
  }
  static std::string Print(bool value) { return value ? "true" : "false"; }
};

// An integer, also one that is written as a real number (1e3, 2.0), as some
// generators of JSON do.
std::optional<int64_t> IntegerOf(const Value& value);

template <uint32_t kMin, uint32_t kMax>
struct IntegerCodec {
  using Type = uint32_t;
  static constexpr Shape kShape = {.kind = Shape::Kind::kInteger,
                                   .name = "integer",
                                   .minimum = kMin,
                                   .maximum = kMax};
  static bool Read(Reader& reader, const Value& value, uint32_t* out) {
    const std::optional<int64_t> number = IntegerOf(value);
    if (!number.has_value() || *number < kMin || *number > kMax) {
      return reader.Expected(
          value, absl::StrCat("an integer between ", kMin, " and ", kMax));
    }
    *out = static_cast<uint32_t>(*number);
    return true;
  }
  static std::string Print(uint32_t value) { return absl::StrCat(value); }
};

// The shortest text that reads back as the same number.
std::string PrintReal(double value);

// A share of the whole in percent, with a fraction if need be.
template <int kMin, int kMax>
struct PercentCodec {
  using Type = double;
  static constexpr Shape kShape = {.kind = Shape::Kind::kNumber,
                                   .name = "percentage",
                                   .minimum = kMin,
                                   .maximum = kMax};
  static bool Read(Reader& reader, const Value& value, double* out) {
    double number = std::nan("");
    if (value.AsInteger() != nullptr) {
      number = static_cast<double>(*value.AsInteger());
    } else if (value.AsReal() != nullptr) {
      number = *value.AsReal();
    }
    // A comparison with NaN is false.
    if (!(number >= kMin && number <= kMax)) {
      return reader.Expected(
          value, absl::StrCat("a number between ", kMin, " and ", kMax));
    }
    *out = number;
    return true;
  }
  static std::string Print(double value) { return PrintReal(value); }
};

template <const TextRule& kRule>
struct TextCodec {
  using Type = std::string;
  static constexpr Shape kShape = {
      .kind = Shape::Kind::kText, .name = kRule.name, .pattern = kRule.pattern};
  static bool Read(Reader& reader, const Value& value, std::string* out) {
    const std::string* text = value.AsString();
    std::string normal;
    if (text == nullptr || !kRule.accept(*text, &normal)) {
      return reader.Expected(value, kRule.expected);
    }
    *out = std::move(normal);
    return true;
  }
  static std::string Print(const std::string& value) {
    return value.empty() ? "" : JsonString(value);
  }
};

// "one", "two" or "three".
std::string OneOf(absl::Span<const absl::string_view> words);

// Reports a word that is none of `words`.
bool ExpectedWord(Reader& reader, const Value& value,
                  absl::Span<const absl::string_view> words);

template <typename E>
struct WordCodec {
  using Type = E;
  static constexpr auto kWords = [] {
    std::array<absl::string_view, std::size(EnumWords<E>::kAll)> words;
    for (size_t i = 0; i < words.size(); ++i) {
      words[i] = EnumWords<E>::kAll[i].word;
    }
    return words;
  }();
  static constexpr Shape kShape = {.kind = Shape::Kind::kText,
                                   .name = "one of",
                                   .words = absl::MakeConstSpan(kWords)};
  static bool Read(Reader& reader, const Value& value, E* out) {
    if (const std::string* text = value.AsString()) {
      for (const EnumWord<E>& entry : EnumWords<E>::kAll) {
        if (entry.word != *text) continue;
        *out = entry.value;
        return true;
      }
    }
    return ExpectedWord(reader, value, kShape.words);
  }
  static std::string Print(E value) { return JsonString(WordOf(value)); }
};

// A word that is kept as text, because it only goes on to a program.
template <const auto& kWords>
struct PlainWordCodec {
  using Type = std::string;
  static constexpr Shape kShape = {.kind = Shape::Kind::kText,
                                   .name = "one of",
                                   .words = absl::MakeConstSpan(kWords)};
  static bool Read(Reader& reader, const Value& value, std::string* out) {
    if (const std::string* text = value.AsString()) {
      for (absl::string_view word : kWords) {
        if (word != *text) continue;
        *out = *text;
        return true;
      }
    }
    return ExpectedWord(reader, value, kShape.words);
  }
  static std::string Print(const std::string& value) {
    return JsonString(value);
  }
};

// For keys that have only one value so far: checked, and not kept.
template <const auto& kWords>
struct CheckedWordCodec : PlainWordCodec<kWords> {};

inline constexpr absl::string_view kSizePattern =
    "^[0-9]+(\\.[0-9]+)?([BbKkMmGgTt]|[KkMmGgTt][Ii][Bb])?$";

struct SizeCodec {
  using Type = Bytes;
  static constexpr Shape kShape = {
      .kind = Shape::Kind::kText, .name = "size", .pattern = kSizePattern};
  static bool Read(Reader& reader, const Value& value, Bytes* out);
  static std::string Print(Bytes value) {
    return JsonString(FormatSize(value));
  }
};

// A size that a program takes, within its limits.
template <uint64_t kMin, uint64_t kMax>
struct LimitedSizeCodec : SizeCodec {
  static bool Read(Reader& reader, const Value& value, Bytes* out) {
    const std::string* text = value.AsString();
    const absl::StatusOr<Bytes> size =
        text == nullptr ? absl::InvalidArgumentError("") : ParseSize(*text);
    if (!size.ok() || size->count() < kMin || size->count() > kMax) {
      return reader.Expected(
          value, absl::StrCat("a size between ", SizeCodec::Print(Bytes(kMin)),
                              " and ", SizeCodec::Print(Bytes(kMax))));
    }
    *out = *size;
    return true;
  }
};

// A guest's memory. The prototype has numbers, of MiB.
struct MemoryCodec {
  using Type = Bytes;
  static constexpr Bytes kMin = MiB(16);
  static constexpr Bytes kMax = GiB(16 << 10);
  static constexpr Shape kNumber = {.kind = Shape::Kind::kInteger,
                                    .name = "integer (MiB)",
                                    .minimum = 16,
                                    .maximum = int64_t{16} << 20};
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &SizeCodec::kShape,
                                   .second = &kNumber};
  static bool Read(Reader& reader, const Value& value, Bytes* out);
  static std::string Print(Bytes value) { return SizeCodec::Print(value); }
};

// A span of time that a program takes, within its limits.
template <int64_t kMinMilliseconds, int64_t kMaxMilliseconds>
struct DurationCodec {
  using Type = absl::Duration;
  static constexpr Shape kShape = {
      .kind = Shape::Kind::kText,
      .name = "duration",
      .pattern = "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|min|h|d)?$"};
  static bool Read(Reader& reader, const Value& value, absl::Duration* out) {
    constexpr absl::Duration kMin = absl::Milliseconds(kMinMilliseconds);
    constexpr absl::Duration kMax = absl::Milliseconds(kMaxMilliseconds);
    const std::string* text = value.AsString();
    const absl::StatusOr<absl::Duration> duration =
        text == nullptr ? absl::InvalidArgumentError("") : ParseDuration(*text);
    if (!duration.ok() || *duration < kMin || *duration > kMax) {
      return reader.Expected(
          value, absl::StrCat("a duration between ", Print(kMin), " and ",
                              Print(kMax)));
    }
    *out = *duration;
    return true;
  }
  static std::string Print(absl::Duration value) {
    return JsonString(absl::FormatDuration(value));
  }
};

struct VersionCodec {
  using Type = Version;
  static constexpr Shape kShape = {.kind = Shape::Kind::kText,
                                   .name = "version",
                                   .pattern = "^[0-9]{1,4}\\.[0-9]{1,4}$"};
  static bool Read(Reader& reader, const Value& value, Version* out);
  static std::string Print(Version value) {
    return JsonString(
        absl::StrCat(value.major_number, ".", value.minor_number));
  }
};

template <typename Codec>
struct ListCodec {
  using Element = typename Codec::Type;
  using Type = std::vector<Element>;
  static constexpr Shape kShape = {.kind = Shape::Kind::kList,
                                   .first = &Codec::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    const Value::Array* array = value.AsArray();
    if (array == nullptr) return reader.Expected(value, "a list");
    if (array->size() > kMaxListElements) {
      reader.Error(value.at(),
                   absl::StrCat("more than ", kMaxListElements, " elements"));
      return false;
    }
    Type elements;
    elements.reserve(array->size());
    bool is_good = true;
    for (size_t i = 0; i < array->size(); ++i) {
      const Reader::Step step(reader, i);
      Element element{};
      if (Codec::Read(reader, (*array)[i], &element)) {
        elements.push_back(std::move(element));
      } else {
        is_good = false;
      }
    }
    if (is_good) *out = std::move(elements);
    return is_good;
  }
  static std::string Print(const Type& value) {
    return absl::StrCat(
        "[",
        absl::StrJoin(value, ", ",
                      [](std::string* out, const Element& element) {
                        *out += Codec::Print(element);
                      }),
        "]");
  }
};

// A list; a single element may stand without brackets.
template <typename Codec>
struct OneOrMoreCodec {
  using Type = typename ListCodec<Codec>::Type;
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &Codec::kShape,
                                   .second = &ListCodec<Codec>::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    if (value.is_array()) return ListCodec<Codec>::Read(reader, value, out);
    typename Codec::Type element{};
    if (!Codec::Read(reader, value, &element)) return false;
    out->assign(1, std::move(element));
    return true;
  }
  static std::string Print(const Type& value) {
    return ListCodec<Codec>::Print(value);
  }
};

// The options of struct S; schema.cc specialises it for each.
template <typename S>
struct TableOf;

template <typename S>
struct TableCodec {
  using Type = S;
  static constexpr Shape kShape = {.kind = Shape::Kind::kTable,
                                   .name = "table",
                                   .table = &TableOf<S>::kTable};
  static bool Read(Reader& reader, const Value& value, S* out) {
    return reader.ReadTable(TableOf<S>::kTable, value, out);
  }
  static std::string Print(const S&) { return ""; }
};

// A table, or only its most important member.
template <typename S, auto kMember, typename Codec>
struct ShortTableCodec {
  using Type = S;
  static constexpr Shape kShape = {.kind = Shape::Kind::kEither,
                                   .first = &Codec::kShape,
                                   .second = &TableCodec<S>::kShape};
  static bool Read(Reader& reader, const Value& value, S* out) {
    if (value.is_table()) return TableCodec<S>::Read(reader, value, out);
    if (value.AsString() == nullptr) {
      return reader.Expected(
          value,
          Codec::kShape.words.empty()
              ? absl::StrCat("a ", Codec::kShape.name, " or a table")
              : absl::StrCat(OneOf(Codec::kShape.words), ", or a table"));
    }
    return Codec::Read(reader, value, &(out->*kMember));
  }
  static std::string Print(const S&) { return ""; }
};

// Reports if a table has more entries than a person would write.
bool CheckMapSize(Reader& reader, const Value& value,
                  const Value::Table& table);

// A table of tables whose keys are names. The result is in byte order of the
// names, as Value::Table is.
template <typename Codec, auto kNameMember, const TextRule& kRule>
struct NamedCodec {
  using Element = typename Codec::Type;
  using Type = std::vector<Element>;
  static constexpr Shape kShape = {.kind = Shape::Kind::kMap,
                                   .name = "NAME",
                                   .pattern = kRule.pattern,
                                   .first = &Codec::kShape};
  static bool Read(Reader& reader, const Value& value, Type* out) {
    const Value::Table* table = value.AsTable();
    if (table == nullptr) return reader.Expected(value, "a table of tables");
    if (!CheckMapSize(reader, value, *table)) return false;
    out->reserve(table->size());
    for (const Value::Member& member : *table) {
      // null takes away what an earlier file has.
      if (member.value.is_null()) continue;
      const Reader::Step step(reader, member.key);
      std::string name;
      if (!kRule.accept(member.key, &name)) {
        reader.Error(member.at,
                     absl::StrCat("the key is not ", kRule.expected));
        continue;
      }
      Element element{};
      element.*kNameMember = std::move(name);
      // With an error inside, it is there all the same: others may refer to
      // it.
      Codec::Read(reader, member.value, &element);
      out->push_back(std::move(element));
    }
    return true;
  }
  static std::string Print(const Type&) { return ""; }
};

// `units`: raw systemd settings by unit, section and key.
struct UnitsCodec {
  using Type = std::map<std::string, UnitSettings>;
  static constexpr Shape kScalar = {.kind = Shape::Kind::kAnything,
                                    .name =
                                        "string, number, boolean or list "
                                        "of these"};
  static constexpr Shape kSection = {.kind = Shape::Kind::kMap,
                                     .name = "KEY",
                                     .pattern = "^[A-Z][A-Za-z0-9]*$",
                                     .first = &kScalar};
  static constexpr Shape kUnit = {.kind = Shape::Kind::kMap,
                                  .name = "SECTION",
                                  .pattern = "^[A-Z][A-Za-z0-9]*$",
                                  .first = &kSection};
  static constexpr Shape kShape = {
      .kind = Shape::Kind::kMap, .name = "UNIT", .first = &kUnit};
  static bool Read(Reader& reader, const Value& value, Type* out);
  static std::string Print(const Type&) { return ""; }
};

template <typename T>
struct MemberTraits;
template <typename C, typename T>
struct MemberTraits<T C::*> {
  using Class = C;
  using Type = T;
};

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <auto kMember, typename Codec>
void ReadMember(Reader& reader, const Value& value, void* object) {
  using Traits = MemberTraits<decltype(kMember)>;
  auto& target = static_cast<typename Traits::Class*>(object)->*kMember;
  if constexpr (std::is_same_v<typename Traits::Type, typename Codec::Type>) {
    Codec::Read(reader, value, &target);
  } else {
    static_assert(IsOptional<typename Traits::Type>::value);
    typename Codec::Type read{};
    if (Codec::Read(reader, value, &read)) target = std::move(read);
  }
}

template <auto kMember, typename Codec>
std::string PrintDefault() {
  using Traits = MemberTraits<decltype(kMember)>;
  const typename Traits::Class object{};
  if constexpr (std::is_same_v<typename Traits::Type, typename Codec::Type>) {
    return Codec::Print(object.*kMember);
  } else {
    const auto& value = object.*kMember;
    return value ? Codec::Print(*value) : "";
  }
}

// What an option may have besides a key, a kind and a text.
struct Extras {
  absl::string_view alias;
  absl::string_view default_doc;
  bool is_required = false;
};

// A line of the table.
template <auto kMember, typename Codec>
constexpr Option Opt(absl::string_view key, absl::string_view doc,
                     Extras extras = {}) {
  return {.key = key,
          .doc = doc,
          .alias = extras.alias,
          .shape = &Codec::kShape,
          .default_text = PrintDefault<kMember, Codec>,
          .default_doc = extras.default_doc,
          .read = ReadMember<kMember, Codec>,
          .is_required = extras.is_required};
}

inline constexpr Shape kAnyShape = {.kind = Shape::Kind::kAnything,
                                    .name = "anything"};

// An option of the prototype that vmsilo has no use for. `reason` completes
// "accepted, but without effect: ".
constexpr Option Accepted(absl::string_view key, absl::string_view reason) {
  return {
      .key = key, .doc = reason, .shape = &kAnyShape, .has_no_effect = true};
}

// A key that is checked, but has only one value and therefore no member.
template <typename Codec>
constexpr Option Checked(absl::string_view key, absl::string_view doc) {
  return {.key = key,
          .doc = doc,
          .shape = &Codec::kShape,
          .read = [](Reader& reader, const Value& value, void*) {
            typename Codec::Type ignored{};
            Codec::Read(reader, value, &ignored);
          }};
}

}  // namespace vmsilo::config
