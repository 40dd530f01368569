#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/json.h"
#include "common/log.h"
#include "common/toml.h"
#include "common/value.h"

namespace {

using vmsilo::ParsedText;
using vmsilo::Value;

// Header, keys within keys, arrays and inline tables.
constexpr size_t kMaxDepth =
    (vmsilo::kMaxTomlDepth + 2) * vmsilo::kMaxTomlKeyParts;

// Whether JSON can say it, too.
bool CheckTree(const Value& value, uint32_t lines, size_t depth) {
  CHECK(depth <= kMaxDepth);
  CHECK(value.at().line <= lines);
  bool is_json =
      depth < vmsilo::kMaxJsonDepth && value.kind() != Value::Kind::kDateTime;
  if (const double* real = value.AsReal()) {
    is_json = is_json && std::isfinite(*real);
  }
  if (const Value::Array* array = value.AsArray()) {
    for (const Value& element : *array) {
      is_json = CheckTree(element, lines, depth + 1) && is_json;
    }
  }
  if (const Value::Table* table = value.AsTable()) {
    for (size_t i = 0; i < table->size(); ++i) {
      CHECK(i == 0 || (*table)[i - 1].key < (*table)[i].key);
      CHECK((*table)[i].at.line >= 1 && (*table)[i].at.line <= lines);
      is_json = CheckTree((*table)[i].value, lines, depth + 1) && is_json;
    }
  }
  return is_json;
}

}  // namespace

// Every text gives a value or an error; everything stands in the text; and
// what JSON can say, too, is the same tree there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const uint32_t lines =
      static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n') + 1);
  const ParsedText parsed = vmsilo::ParseTomlText(text);
  CHECK(parsed.value.has_value() || !parsed.errors.empty());
  CHECK(parsed.errors.size() <= vmsilo::kMaxTomlErrors);
  for (const vmsilo::TextError& error : parsed.errors) {
    CHECK(error.at.line >= 1 && error.at.column >= 1);
    CHECK(error.at.line <= lines + 1);
    for (unsigned char c : error.message) CHECK(c >= 0x20 && c < 0x7f);
  }
  if (!parsed.value || !CheckTree(*parsed.value, lines, 0)) return 0;
  const ParsedText json = vmsilo::ParseJsonText(vmsilo::ToJson(*parsed.value));
  CHECK(json.errors.empty());
  CHECK(json.value == parsed.value);
  return 0;
}
