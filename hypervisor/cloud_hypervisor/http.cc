#include "hypervisor/cloud_hypervisor/http.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/parse_number.h"
#include "common/status_macros.h"
#include "hypervisor/conversation.h"

namespace vmsilo::hypervisor::cloud_hypervisor {
namespace {

constexpr absl::string_view kHeaderEnd = "\r\n\r\n";

absl::Status Broken(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("HTTP: ", what));
}

// "HTTP/1.1 200 OK", "HTTP/1.1 200 " and "HTTP/1.1 503" alike.
absl::StatusOr<int> ParseStatusLine(absl::string_view line) {
  absl::string_view rest = line;
  if (!absl::ConsumePrefix(&rest, "HTTP/1.1 ") &&
      !absl::ConsumePrefix(&rest, "HTTP/1.0 ")) {
    return Broken(absl::StrCat("not a status line: ", Quoted(line)));
  }
  const absl::StatusOr<int> code =
      ParseNumber<int>(rest.substr(0, rest.find(' ')), 100, 599);
  if (!code.ok()) {
    return Broken(absl::StrCat("not a status line: ", Quoted(line)));
  }
  return *code;
}

}  // namespace

std::string HttpRequest(absl::string_view method, absl::string_view path,
                        absl::string_view json) {
  std::string request = absl::StrCat(
      method, " ", path, " HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n");
  if (!json.empty()) {
    absl::StrAppend(&request, "Content-Type: application/json\r\n",
                    "Content-Length: ", json.size(), "\r\n");
  }
  absl::StrAppend(&request, "\r\n", json);
  return request;
}

absl::StatusOr<std::optional<HttpResponse>> HttpReader::Receive(
    absl::string_view bytes) {
  if (held_.size() + bytes.size() > kMaxHeaderBytes + kMaxAnswerBytes) {
    return Broken("the answer is too long");
  }
  absl::StrAppend(&held_, bytes);
  while (!has_header_) {
    VMSILO_ASSIGN_OR_RETURN(const bool is_taken, TakeHeader());
    if (!is_taken) return std::nullopt;
  }
  if (held_.size() < body_bytes_) return std::nullopt;
  if (held_.size() > body_bytes_) return Broken("bytes after the answer");
  response_.body = std::exchange(held_, "");
  has_header_ = false;
  return std::exchange(response_, {});
}

// Takes one header off the front; false if it is not complete yet. That of a
// 1xx response leaves has_header_ as it was.
absl::StatusOr<bool> HttpReader::TakeHeader() {
  const size_t end = absl::string_view(held_).find(kHeaderEnd);
  if (end > kMaxHeaderBytes && held_.size() > kMaxHeaderBytes) {
    return Broken("the header is too long");
  }
  if (end == absl::string_view::npos) {
    // What cannot become a status line need not be waited for.
    const absl::string_view beginning = absl::string_view(held_).substr(0, 7);
    if (!absl::StartsWith("HTTP/1.", beginning)) {
      return Broken(absl::StrCat("not a status line: ", Quoted(held_)));
    }
    return false;
  }
  const std::string header = held_.substr(0, end);
  held_.erase(0, end + kHeaderEnd.size());

  std::optional<size_t> length;
  bool is_first = true;
  for (const absl::string_view line : absl::StrSplit(header, "\r\n")) {
    if (std::exchange(is_first, false)) {
      VMSILO_ASSIGN_OR_RETURN(response_.code, ParseStatusLine(line));
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) {
      return Broken(absl::StrCat("not a header line: ", Quoted(line)));
    }
    const absl::string_view name = line.substr(0, colon);
    const absl::string_view value =
        absl::StripAsciiWhitespace(line.substr(colon + 1));
    if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      return Broken("an answer in chunks");
    }
    if (!absl::EqualsIgnoreCase(name, "Content-Length")) continue;
    if (length) return Broken("two lengths");
    const absl::StatusOr<size_t> number =
        ParseNumber<size_t>(value, 0, kMaxAnswerBytes);
    if (!number.ok()) return Broken(absl::StrCat("length ", Quoted(value)));
    length = *number;
  }
  if (response_.code < 200) return true;
  has_header_ = true;
  // Without a length there is no body: the connection stays open after it.
  body_bytes_ = response_.code == 204 ? 0 : length.value_or(0);
  return true;
}

}  // namespace vmsilo::hypervisor::cloud_hypervisor
