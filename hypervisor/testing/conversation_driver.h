#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hypervisor/client.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor {

// How a scripted conversation went.
struct Transcript {
  std::string sent;  // by us, all of it
  bool is_done = false;
  absl::Status status;  // of the step that failed
  VmStatus vm;
};

// Gives `pieces` to the conversation one after the other, until it ends.
inline Transcript Drive(Conversation* conversation,
                        const std::vector<std::string>& pieces) {
  Transcript transcript;
  transcript.sent = conversation->Begin();
  for (const std::string& piece : pieces) {
    const absl::StatusOr<Conversation::Step> step =
        conversation->Receive(piece);
    if (!step.ok()) {
      transcript.status = step.status();
      return transcript;
    }
    transcript.sent += step->send;
    if (step->is_done) {
      transcript.is_done = true;
      transcript.vm = conversation->status();
      return transcript;
    }
  }
  return transcript;
}

// `text` in two, cut at `at`; without empty pieces.
inline std::vector<std::string> CutAt(absl::string_view text, size_t at) {
  std::vector<std::string> pieces;
  for (const absl::string_view piece : {text.substr(0, at), text.substr(at)}) {
    if (!piece.empty()) pieces.emplace_back(piece);
  }
  return pieces;
}

inline std::vector<std::string> Bytewise(absl::string_view text) {
  std::vector<std::string> pieces;
  for (const char c : text) pieces.emplace_back(1, c);
  return pieces;
}

}  // namespace vmsilo::hypervisor
