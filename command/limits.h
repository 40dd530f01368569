#pragma once

#include <cstddef>
#include <cstdint>

// Every length and count of the command protocol (docs/command-protocol.md).
// Both sides enforce them on what they receive, before they store it.
namespace vmsilo::command {

// Length, type, reserved.
inline constexpr size_t kHeaderBytes = 8;

// One system call's worth: a quarter of the default window, so that a window
// holds several frames in flight, and the header costs a 8192nd.
inline constexpr size_t kMaxDataBytes = size_t{64} * 1024;

// The argument list of a shell's wildcard fits; Linux itself takes 2 MiB with
// the default stack limit. One frame, held in memory while it arrives.
inline constexpr size_t kMaxStartBytes = size_t{256} * 1024;
inline constexpr size_t kMaxArguments = 4096;

// What passes the host's allow-list is a dozen.
inline constexpr size_t kMaxEnvironment = 256;

// PATH_MAX without its NUL.
inline constexpr size_t kMaxDirectoryBytes = 4095;

// A sentence with a path in it; longer ones are cut by the sender.
inline constexpr size_t kMaxErrorBytes = 1024;

// A HELLO has 16 bytes today; the rest is for versions that append to it.
inline constexpr size_t kMaxHelloBytes = 256;

// A frame of a type that the receiver may skip. It is held while it arrives,
// like any other.
inline constexpr size_t kMaxSkippedBytes = size_t{64} * 1024;

// How many bytes of a stream may be under way without having been consumed.
// The least that still makes progress, the most that a receiver may offer, and
// what ours offer: 1 GB/s at a round trip of 250 microseconds, and 768 KiB of
// memory for the three streams of a command at worst.
inline constexpr uint32_t kMinWindow = uint32_t{4} * 1024;
inline constexpr uint32_t kMaxWindow = uint32_t{1024} * 1024;
inline constexpr uint32_t kDefaultWindow = uint32_t{256} * 1024;

// Consumed bytes are given back in portions of this part of the window: often
// enough that a sender never waits for the last one, and rare enough that
// CREDIT frames do not count.
inline constexpr uint32_t kCreditParts = 4;

// Frames that a session has not sent yet: one window and the control frames
// around it. A peer that does not read stops our reading, not our memory.
inline constexpr size_t kMaxQueuedBytes = kDefaultWindow + size_t{64} * 1024;

// Linux numbers its signals 1 to 64.
inline constexpr uint8_t kMaxSignal = 64;

}  // namespace vmsilo::command
