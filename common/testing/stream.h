#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/unique_fd.h"

namespace vmsilo {

// One end of a conversation that a test plays against another process, step by
// step. Each call waits until it is done; what does not come within the
// deadline fails the test and gives back what there was.
inline constexpr absl::Duration kStreamDeadline = absl::Seconds(20);

void SendAll(int fd, absl::string_view bytes);

// Up to `size` bytes: fewer at the end of the stream.
std::string ReadExactly(int fd, size_t size);
std::string ReadToEnd(int fd);
// Up to and with the first `end`.
std::string ReadUntil(int fd, absl::string_view end);

// The next connection of a listener.
UniqueFd AcceptOne(int listener);

// Whether `fd` stays silent for `span`: no bytes, no end. For what must not
// happen; everything else waits for an event.
bool IsSilentFor(int fd, absl::Duration span);

}  // namespace vmsilo
