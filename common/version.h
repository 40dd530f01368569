#pragma once

namespace vmsilo {

// The version of every program here; CHANGELOG.md says what each one brought.
inline constexpr char kVersion[] = "0.1.0";

}  // namespace vmsilo
