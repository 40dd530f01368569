#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// What the balloon daemon and those who ask it say to each other, as
// docs/balloon-protocol.md specifies it: lines of JSON. Amounts are bytes;
// "balloon" is what a guest has given up.
namespace vmsilo::balloon {

inline constexpr int64_t kVersion = 1;

// Requests.

// How everything is, once.
struct StatusRequest {
  friend bool operator==(const StatusRequest&, const StatusRequest&) = default;
};
// The same now and whenever it has been looked at again.
struct WatchRequest {
  friend bool operator==(const WatchRequest&, const WatchRequest&) = default;
};
struct MetricsRequest {
  friend bool operator==(const MetricsRequest&,
                         const MetricsRequest&) = default;
};
// A person says how large a silo's balloon is to be, or that it is to be as
// the daemon likes again.
struct SetRequest {
  std::string vm;
  std::optional<int64_t> balloon;  // absent: as the daemon likes
  friend bool operator==(const SetRequest&, const SetRequest&) = default;
};
using Request =
    std::variant<StatusRequest, WatchRequest, MetricsRequest, SetRequest>;

// Answers.

struct Status {
  struct Host {
    int64_t total = 0;
    int64_t available = 0;
    int64_t free = 0;
    // What is never handed to guests.
    int64_t critical = 0;
    double pressure = 0;  // percent, "some"
    // What guests may use and do not occupy: the sum that the host would be
    // short of if all did at once. Of those whose occupation is known.
    int64_t exposure = 0;
    friend bool operator==(const Host&, const Host&) = default;
  };
  struct Vm {
    std::string name;
    std::string hypervisor;
    bool is_managed = false;
    // Why the balloon was moved or left alone last: a word of
    // docs/balloon-protocol.md.
    std::string reason;
    // Why the daemon does not touch it; empty if it does.
    std::string excluded;
    // What went wrong last, if nothing went well since.
    std::string error;
    int64_t memory = 0;
    int64_t guaranteed = 0;
    std::optional<int64_t> balloon;
    std::optional<int64_t> target;
    std::optional<int64_t> fixed;
    std::optional<int64_t> free;
    std::optional<int64_t> caches;
    std::optional<int64_t> available;
    std::optional<int64_t> resident;
    std::optional<int64_t> oom_kills;
    // Of the numbers above, in milliseconds.
    std::optional<int64_t> age;
    friend bool operator==(const Vm&, const Vm&) = default;
  };
  std::string policy;
  bool is_dry_run = false;
  int64_t rounds = 0;
  int64_t queries = 0;
  int64_t resizes = 0;
  Host host;
  std::vector<Vm> vms;  // by name
  friend bool operator==(const Status&, const Status&) = default;
};

struct Metrics {
  std::string text;
  friend bool operator==(const Metrics&, const Metrics&) = default;
};

// What was asked is done.
struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

using Answer = std::variant<Status, Metrics, Done>;

// A line with its end.
std::string Encode(const Request& request);
std::string Encode(const Answer& answer);
// `error` is not OK. Its code survives, as one of the protocol's words.
std::string EncodeError(const absl::Status& error);

// `line` is without its end. InvalidArgument for anything that is no message;
// of an answer also the error that it tells.
absl::StatusOr<Request> DecodeRequest(absl::string_view line);
absl::StatusOr<Answer> DecodeAnswer(absl::string_view line);

}  // namespace vmsilo::balloon
