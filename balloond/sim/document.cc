#include "balloond/sim/document.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace vmsilo::balloond::sim {

absl::StatusOr<std::string> ReplacePart(absl::string_view document,
                                        absl::string_view name,
                                        absl::string_view text) {
  const std::string begin = absl::StrCat("<!-- begin ", name, " -->\n");
  const std::string end = absl::StrCat("<!-- end ", name, " -->\n");
  const size_t from = document.find(begin);
  if (from == absl::string_view::npos) {
    return absl::NotFoundError(
        absl::StrCat("there is no line ", begin.substr(0, begin.size() - 1)));
  }
  const size_t to = document.find(end, from + begin.size());
  if (to == absl::string_view::npos) {
    return absl::NotFoundError(
        absl::StrCat("there is no line ", end.substr(0, end.size() - 1),
                     " after ", begin.substr(0, begin.size() - 1)));
  }
  return absl::StrCat(document.substr(0, from + begin.size()), "\n", text, "\n",
                      document.substr(to));
}

}  // namespace vmsilo::balloond::sim
