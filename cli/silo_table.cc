#include "cli/silo_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/explain.h"
#include "cli/service_manager.h"
#include "common/parse_size.h"
#include "config/config.h"

namespace vmsilo::cli {
namespace {

constexpr size_t kColumns = 5;
using Row = std::array<std::string, kColumns>;

Row RowOf(const Silo& silo) {
  Row row = {silo.name, std::string(ToString(StateOf(silo.vm_unit))), "-", "-",
             "-"};
  if (silo.configured) {
    row[2] = std::string(config::ToString(silo.configured->hypervisor));
    row[3] = absl::StrCat(silo.configured->cid);
    row[4] = FormatSize(silo.configured->memory);
  }
  return row;
}

}  // namespace

std::string Coloured(absl::string_view text, absl::string_view colour,
                     Colours colours) {
  uint32_t rgb = 0;
  if (colours == Colours::kNone || colour.size() != 7 || colour[0] != '#' ||
      !absl::SimpleHexAtoi(colour.substr(1), &rgb)) {
    return std::string(text);
  }
  const uint32_t red = rgb >> 16;
  const uint32_t green = (rgb >> 8) & 0xff;
  const uint32_t blue = rgb & 0xff;
  if (colours == Colours::kTrueColour) {
    return absl::StrFormat("\x1b[1;38;2;%d;%d;%dm%s\x1b[0m", red, green, blue,
                           text);
  }
  // The cube of 6 x 6 x 6 colours that begins at 16.
  const auto level = [](uint32_t value) { return (value * 5 + 127) / 255; };
  return absl::StrFormat("\x1b[1;38;5;%dm%s\x1b[0m",
                         16 + 36 * level(red) + 6 * level(green) + level(blue),
                         text);
}

std::string ListText(absl::Span<const Silo> silos, Colours colours) {
  const Row header = {"NAME", "STATE", "HYPERVISOR", "CID", "MEMORY"};
  std::vector<Row> rows = {header};
  for (const Silo& silo : silos) rows.push_back(RowOf(silo));
  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (size_t line = 0; line < rows.size(); ++line) {
    const Row& row = rows[line];
    for (size_t i = 0; i < kColumns; ++i) {
      // The colour's bytes take no room on the screen.
      const bool is_name = i == 0 && line > 0 && silos[line - 1].configured;
      out += is_name
                 ? Coloured(row[i], silos[line - 1].configured->color, colours)
                 : row[i];
      if (i + 1 < kColumns) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

}  // namespace vmsilo::cli
