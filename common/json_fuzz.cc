#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/json.h"
#include "common/log.h"
#include "common/value.h"

namespace {

using vmsilo::ParsedText;
using vmsilo::Position;
using vmsilo::Value;

void CheckPosition(const Position& at, uint32_t lines) {
  CHECK(at.line >= 1 && at.line <= lines);
  CHECK(at.column >= 1);
}

void CheckPositions(const Value& value, uint32_t lines, size_t depth) {
  CHECK(depth <= vmsilo::kMaxJsonDepth);
  CheckPosition(value.at(), lines);
  if (const Value::Array* array = value.AsArray()) {
    for (const Value& element : *array) {
      CheckPositions(element, lines, depth + 1);
    }
  }
  if (const Value::Table* table = value.AsTable()) {
    for (size_t i = 0; i < table->size(); ++i) {
      CHECK(i == 0 || (*table)[i - 1].key < (*table)[i].key);
      CheckPosition((*table)[i].at, lines);
      CheckPositions((*table)[i].value, lines, depth + 1);
    }
  }
}

}  // namespace

// Every text gives a value or an error; errors and values stand in the text;
// and what is printed reads back as the same, also printed for people.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const uint32_t lines =
      static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n') + 1);
  const ParsedText parsed = vmsilo::ParseJsonText(text);
  CHECK(parsed.value.has_value() || !parsed.errors.empty());
  CHECK(parsed.errors.size() <= vmsilo::kMaxJsonErrors);
  for (const vmsilo::TextError& error : parsed.errors) {
    CheckPosition(error.at, lines);
    for (unsigned char c : error.message) CHECK(c >= 0x20 && c < 0x7f);
  }
  if (!parsed.value) return 0;
  CheckPositions(*parsed.value, lines, 0);
  for (int indent : {0, 2}) {
    const ParsedText again =
        vmsilo::ParseJsonText(vmsilo::ToJson(*parsed.value, indent));
    CHECK(again.errors.empty());
    CHECK(again.value == parsed.value);
  }
  return 0;
}
