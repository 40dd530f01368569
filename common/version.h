#pragma once

namespace vmsilo {

// The version of every program here; CHANGELOG.md says what each one brought.
inline constexpr char kVersion[] = "0.1.0";

// When it was made, for manual pages; a constant, so that the same sources
// give the same files on every day.
inline constexpr char kVersionDate[] = "2026-11-23";

}  // namespace vmsilo
