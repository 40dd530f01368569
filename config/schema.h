#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/value.h"
#include "config/config.h"
#include "config/diagnostics.h"

// The one table of options. The parser, the defaults in the documentation,
// docs/configuration.md, vmsilo.toml(5) and the JSON Schema all come from it:
// a new option is a member in config.h and a line in schema.cc.
namespace vmsilo::config {

class Reader;
struct TableSchema;

// How the values of an option look.
struct Shape {
  enum class Kind {
    kBoolean,
    kInteger,
    kNumber,
    kText,
    // Elements like `first`.
    kList,
    // The options of `table`.
    kTable,
    // Any keys; values like `first`. `name` says what the keys are.
    kMap,
    // Like `first` or like `second`.
    kEither,
    kAnything,
  };

  Kind kind = Kind::kAnything;
  // For the documentation.
  absl::string_view name;
  // Of a text, for editors; may be empty.
  absl::string_view pattern;
  // The only texts allowed, if any.
  absl::Span<const absl::string_view> words;
  int64_t minimum = std::numeric_limits<int64_t>::min();
  int64_t maximum = std::numeric_limits<int64_t>::max();
  const Shape* first = nullptr;
  const Shape* second = nullptr;
  const TableSchema* table = nullptr;
};

struct Option {
  absl::string_view key;
  // One or more sentences; `code` between backquotes.
  absl::string_view doc;
  // Another name for the same thing, or empty.
  absl::string_view alias;
  const Shape* shape = nullptr;
  // The default as TOML text; empty if there is none.
  std::string (*default_text)() = nullptr;
  // Takes its place in the documentation, where it depends on something.
  absl::string_view default_doc;
  // Reads a value into the member of the struct at `object`.
  void (*read)(Reader& reader, const Value& value, void* object) = nullptr;
  bool is_required = false;
  // Accepted with a note, because the prototype's users have it.
  bool has_no_effect = false;
};

// The options of one table.
struct TableSchema {
  // "vms.NAME.sound".
  absl::string_view path;
  absl::string_view doc;
  absl::Span<const Option> options;
};

const TableSchema& RootSchema();
// That of an image.toml, and of `images.NAME`.
const TableSchema& ImageSchema();

// Gives every key that is written by another name its own. A key that is there
// by both names is an error.
void NormalizeNames(Value& root, DiagnosticSink& sink);

// Reads the tree into a configuration that is not resolved yet. Whatever is
// wrong goes to `sink`, and the option keeps its default.
Config ReadConfig(const Value& root, DiagnosticSink& sink);

// The same for the tree of an image.toml.
Image ReadImage(const Value& root, DiagnosticSink& sink);

}  // namespace vmsilo::config
