#pragma once

#include "absl/status/status.h"

namespace vmsilo {

// What every program of this project exits with, besides 0 (man 3 sysexits).
// Numbers of 200 and above are systemd's own.
inline constexpr int kExitUsage = 64;
inline constexpr int kExitDataError = 65;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitInternal = 70;
inline constexpr int kExitOsError = 71;
inline constexpr int kExitTryLater = 75;
inline constexpr int kExitProtocol = 76;
inline constexpr int kExitNoPermission = 77;
inline constexpr int kExitConfig = 78;

// The exit code for a failed run; 0 for OK. A program whose failure needs
// another code attaches it with WithExitCode().
int ExitCodeFor(const absl::Status& status);

// Attaches an exit code to a status that is not OK. The code survives
// Annotate() and copies.
absl::Status WithExitCode(absl::Status status, int exit_code);

}  // namespace vmsilo
