#pragma once

#include <cstddef>

// The sizes of the console protocol (docs/console-protocol.md), enforced by
// both sides on what they receive.
namespace vmsilo::console {

// An OUTPUT message has a quarter of what a socket holds by default, so that
// a viewer reads one while the next ones are under way.
inline constexpr size_t kMaxOutputBytes = size_t{32} * 1024;

// What a pipe takes at once or not at all (PIPE_BUF): keys and pastes that
// are larger come in several messages.
inline constexpr size_t kMaxInputBytes = 4096;

// A sentence.
inline constexpr size_t kMaxErrorBytes = 512;

// The largest message: OUTPUT with its type and position, and room to see that
// a message was larger.
inline constexpr size_t kMaxMessageBytes = kMaxOutputBytes + 16;

// Viewers of one console at once: a person has a window or two on it, perhaps
// a tool that records. Each costs two descriptors.
inline constexpr size_t kMaxViewers = 16;

}  // namespace vmsilo::console
