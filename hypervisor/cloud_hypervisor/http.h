#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// The HTTP that Cloud Hypervisor's server speaks
// (firecracker-microvm/micro-http
// @7975fe0), not HTTP at large: no chunks, no continuation lines, empty reason
// phrases, a body only where Content-Length says so.
namespace vmsilo::hypervisor::cloud_hypervisor {

// All header lines of one answer. The server's own are below 200 bytes.
inline constexpr size_t kMaxHeaderBytes = 8 * 1024;

struct HttpResponse {
  int code = 0;
  std::string body;
};

// A request, with a body where there is one: Cloud Hypervisor refuses an empty
// one, and one where it takes none. Sends neither Expect nor Connection, and
// the caller must not half-close: the server takes that for a hang-up and drops
// the answer.
std::string HttpRequest(absl::string_view method, absl::string_view path,
                        absl::string_view json = "");

// Reads responses from a stream, one at a time; 1xx ones are skipped.
class HttpReader {
 public:
  // The response once it is complete. DataLoss for what is not HTTP as above.
  // Bytes after the response are an error: nothing else was asked for.
  absl::StatusOr<std::optional<HttpResponse>> Receive(absl::string_view bytes);

  // Whether a response has begun to arrive.
  bool has_begun() const { return !held_.empty(); }

 private:
  absl::StatusOr<bool> TakeHeader();

  std::string held_;
  bool has_header_ = false;
  size_t body_bytes_ = 0;
  HttpResponse response_;
};

}  // namespace vmsilo::hypervisor::cloud_hypervisor
