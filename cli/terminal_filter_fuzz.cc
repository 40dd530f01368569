// What the filter lets through passes it again unchanged, does not depend on
// how the stream was cut, and holds none of the sequences that answer back.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/terminal_filter.h"

namespace {

void Require(bool condition) {
  if (!condition) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vmsilo::cli::TerminalFilter;
  const absl::string_view in(reinterpret_cast<const char*>(data), size);

  TerminalFilter whole;
  const std::string out = whole.Filter(in);

  TerminalFilter cut;
  std::string pieces;
  const size_t step = size == 0 ? 1 : 1 + data[0] % 7;
  for (size_t i = 0; i < size; i += step) {
    pieces += cut.Filter(in.substr(i, step));
  }
  Require(pieces == out);
  Require(whole.Reset() == cut.Reset());

  Require(TerminalFilter().Filter(out) == out);
  const std::string reset = whole.Reset();
  Require(TerminalFilter().Filter(reset) == reset);

  for (size_t i = 0; i < out.size(); ++i) {
    Require(out[i] != '\x05' && out[i] != '\0');
    if (out[i] != '\x1b') continue;
    Require(i + 1 < out.size());
    Require(absl::string_view("]P_^XZ%").find(out[i + 1]) ==
            absl::string_view::npos);
    if (out[i + 1] != '[') continue;
    const size_t final = out.find_first_not_of("0123456789;:?!\" ", i + 2);
    Require(final != std::string::npos);
    Require(absl::string_view("cntixyR").find(out[final]) ==
            absl::string_view::npos);
  }
  return 0;
}
