#include "tests/lab/job.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/parse_number.h"
#include "common/status_macros.h"

namespace vmsilo::lab {
namespace {

// More than any command line of the tests has.
constexpr size_t kMaxArguments = 10000;

void Append(std::string& text, absl::string_view field) {
  absl::StrAppend(&text, field, absl::string_view("\0", 1));
}

}  // namespace

std::string SerializeJob(const Job& job) {
  std::string text;
  Append(text, job.directory);
  Append(text, absl::StrCat(job.arguments.size()));
  for (const std::string& argument : job.arguments) Append(text, argument);
  for (const std::string& variable : job.environment) Append(text, variable);
  return text;
}

absl::StatusOr<Job> ParseJob(absl::string_view text) {
  std::vector<std::string> fields = absl::StrSplit(text, '\0');
  // Each field ends in NUL, so that nothing follows the last one.
  if (fields.size() < 3 || !fields.back().empty()) {
    return absl::InvalidArgumentError("job file: cut short");
  }
  fields.pop_back();
  VMSILO_ASSIGN_OR_RETURN(
      const size_t count,
      ParseNumber<size_t>(fields[1], /*min=*/1, kMaxArguments));
  if (fields.size() < 2 + count) {
    return absl::InvalidArgumentError("job file: arguments are missing");
  }
  const auto arguments = fields.begin() + 2;
  const auto environment = arguments + static_cast<ptrdiff_t>(count);
  return Job{.arguments = {arguments, environment},
             .environment = {environment, fields.end()},
             .directory = fields[0]};
}

}  // namespace vmsilo::lab
