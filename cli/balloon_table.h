#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "balloon/message.h"

// How the memory of silos looks in a table. Pure.
namespace vmsilo::cli {

// "512M", "1.5G": for people, not exact.
std::string MemoryText(int64_t bytes);

// Why the balloon was moved or left alone last, in words.
std::string BalloonReason(const balloon::Status::Vm& vm);

// The host, and a line a silo. Lines have `width` columns at most; 0 for any
// number.
std::string BalloonTable(const balloon::Status& status, size_t width);

// What one silo's guest has and has given up, for `vmsilo status`.
std::string BalloonLine(const balloon::Status::Vm& vm);

}  // namespace vmsilo::cli
