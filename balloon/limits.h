#pragma once

#include <cstddef>

// The sizes of the balloon protocol (docs/balloon-protocol.md), enforced by
// both sides on what they receive.
namespace vmsilo::balloon {

// A request names one silo.
inline constexpr size_t kMaxRequestBytes = 1024;

// More silos than a computer has memory for. The daemon leaves others alone.
inline constexpr size_t kMaxVms = 256;

// As many silos with all their numbers, twice.
inline constexpr size_t kMaxAnswerBytes = size_t{512} * 1024;

// A person has a table or two open; a status bar asks now and then.
inline constexpr size_t kMaxClients = 16;

// NAME_MAX: a silo's name is that of a directory.
inline constexpr size_t kMaxNameBytes = 255;

// Words of one answer: reasons, policies, sentences.
inline constexpr size_t kMaxWordBytes = 512;

}  // namespace vmsilo::balloon
