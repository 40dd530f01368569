#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace vmsilo::lab {

// What to run inside of a lab, handed over in a file of the shared directory.
struct Job {
  std::vector<std::string> arguments;    // the program first
  std::vector<std::string> environment;  // NAME=VALUE
  std::string directory;                 // to run it in

  friend bool operator==(const Job&, const Job&) = default;
};

// Names in the directory that the two sides share.
inline constexpr absl::string_view kJobFile = "job";
inline constexpr absl::string_view kOutputSocket = "output.socket";
inline constexpr absl::string_view kStatusSocket = "status.socket";

// Where that directory is, inside.
inline constexpr absl::string_view kSharedDirectory = "/run/lab";

// Lines on the status channel, from inside: the system is up; the program has
// ended with the status that follows.
inline constexpr absl::string_view kUpLine = "up";
inline constexpr absl::string_view kExitPrefix = "exit ";

// The text of the job file, and back. Any bytes but NUL survive.
// InvalidArgument or OutOfRange for a text that SerializeJob did not make.
std::string SerializeJob(const Job& job);
absl::StatusOr<Job> ParseJob(absl::string_view text);

}  // namespace vmsilo::lab
