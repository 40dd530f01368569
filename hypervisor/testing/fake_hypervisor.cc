#include "hypervisor/testing/fake_hypervisor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/event_loop.h"
#include "common/json.h"
#include "common/log.h"
#include "common/parse_number.h"
#include "common/socket.h"
#include "common/unique_fd.h"
#include "common/value.h"
#include "config/config.h"
#include "hypervisor/testing/fake_balloon.h"

namespace vmsilo::hypervisor {
namespace {

// As QEMU 7.2 on Debian 12 says it.
constexpr absl::string_view kGreeting =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, )"
    R"("package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}, "capabilities": )"
    R"(["oob"]}})"
    "\r\n";
constexpr absl::string_view kEvent =
    R"({"timestamp": {"seconds": 1795427380, "microseconds": 959254}, )"
    R"("event": "RTC_CHANGE", "data": {"offset": 0, "qom-path": "/x"}})"
    "\r\n";
constexpr absl::string_view kEventWithoutData =
    R"({"timestamp": {"seconds": -1, "microseconds": -1}, "event": "POWERDOWN"})"
    "\r\n";

// More than any client of ours takes for an answer, in one message.
constexpr size_t kHugeBytes = 2 * 1024 * 1024;
constexpr size_t kHugePacketBytes = 100 * 1000;  // a SEQPACKET has a limit

// Cloud Hypervisor's server takes so many connections.
constexpr size_t kMaxHttpConnections = 10;

// What an HTTP request says of its body.
size_t BodyBytes(absl::string_view request) {
  const absl::string_view key = "Content-Length: ";
  const size_t at = request.find(key);
  if (at == absl::string_view::npos) return 0;
  const absl::string_view rest = request.substr(at + key.size());
  const absl::StatusOr<size_t> bytes =
      ParseNumber<size_t>(rest.substr(0, rest.find('\r')));
  return bytes.ok() ? *bytes : 0;
}

// A number in a request that the fake takes for granted.
std::optional<uint64_t> NumberOf(const Value* parent, absl::string_view key) {
  const Value* value = parent == nullptr ? nullptr : parent->Find(key);
  const int64_t* number = value == nullptr ? nullptr : value->AsInteger();
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<uint64_t>(*number);
}

std::string TextOf(const Value* parent, absl::string_view key) {
  const Value* value = parent == nullptr ? nullptr : parent->Find(key);
  const std::string* text = value == nullptr ? nullptr : value->AsString();
  return text == nullptr ? "" : *text;
}

Bytes WholePages(uint64_t bytes) { return Bytes(bytes / 4096 * 4096); }

}  // namespace

struct FakeHypervisor::Connection {
  uint64_t id = 0;
  UniqueFd fd;
  std::string input;
  bool is_greeted = false;
  bool has_capabilities = false;
  std::string late;
  std::string unsent;
  Source source;
};

FakeHypervisor::FakeHypervisor(EventLoop* loop, config::Hypervisor kind,
                               std::string path)
    : loop_(loop), kind_(kind), path_(std::move(path)), balloon_(loop) {
  set_change_interval(absl::Seconds(1));
  Listen();
}

FakeHypervisor::~FakeHypervisor() = default;

void FakeHypervisor::Listen() {
  const int type =
      kind_ == config::Hypervisor::kCrosvm ? SOCK_SEQPACKET : SOCK_STREAM;
  // crosvm leaves a stale file in the way; its launcher removes it.
  unlink(path_.c_str());
  absl::StatusOr<UniqueFd> listener = ListenUnix(path_, 0600, type);
  CHECK(listener.ok());
  listener_ = *std::move(listener);
  absl::StatusOr<Source> source =
      loop_->AddIo(listener_.get(), EPOLLIN, [this](uint32_t) {
        OnConnection();
        return absl::OkStatus();
      });
  CHECK(source.ok());
  listener_source_ = *std::move(source);
}

void FakeHypervisor::Die(bool clean) {
  listener_source_.Reset();
  listener_.Reset();
  connections_.clear();
  if (clean) unlink(path_.c_str());
}

void FakeHypervisor::OnConnection() {
  absl::StatusOr<UniqueFd> fd = Accept(listener_.get());
  if (!fd.ok()) return;
  auto owned = std::make_unique<Connection>();
  Connection* connection = owned.get();
  connection->id = ++accepted_;
  connection->fd = *std::move(fd);
  absl::StatusOr<Source> source = loop_->AddIo(
      connection->fd.get(), EPOLLIN, [this, connection](uint32_t events) {
        if ((events & EPOLLOUT) != 0) {
          Send(connection, "", /*with_fds=*/false);
        }
        if ((events & (EPOLLIN | EPOLLHUP)) != 0) {
          OnReadable(connection);
        }
        return absl::OkStatus();
      });
  CHECK(source.ok());
  connection->source = *std::move(source);
  connections_.push_back(std::move(owned));
  if (kind_ == config::Hypervisor::kCloudHypervisor &&
      connections_.size() > kMaxHttpConnections) {
    Send(connection,
         "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\n"
         "Content-Length: 40\r\n\r\n{ \"error\": \"Too many open connections\" "
         "}",
         /*with_fds=*/false);
    Close(connection);
    return;
  }
  OnGreet();
}

// QEMU serves one client at a time: the next is greeted when it has gone.
void FakeHypervisor::OnGreet() {
  if (kind_ != config::Hypervisor::kQemu || connections_.empty()) return;
  Connection* connection = connections_.front().get();
  if (connection->is_greeted) return;
  connection->is_greeted = true;
  Send(connection, kGreeting, /*with_fds=*/false);
}

void FakeHypervisor::OnReadable(Connection* connection) {
  std::array<char, 65536> buffer;
  if (fault_ == Fault::kReset) {
    Close(connection);
    return;
  }
  const ssize_t n = recv(connection->fd.get(), buffer.data(), buffer.size(), 0);
  if (n <= 0) {
    Close(connection);
    return;
  }
  const absl::string_view bytes(buffer.data(), static_cast<size_t>(n));
  if (kind_ == config::Hypervisor::kCrosvm) {
    OnCrosvm(connection, bytes);
    return;
  }
  absl::StrAppend(&connection->input, bytes);
  OnInput(connection->id);
}

void FakeHypervisor::OnInput(uint64_t id) {
  const bool is_qemu = kind_ == config::Hypervisor::kQemu;
  const std::string end = is_qemu ? "\n" : "\r\n\r\n";
  // An answer may be the end of the connection.
  for (Connection* connection = Find(id); connection != nullptr;
       connection = Find(id)) {
    const size_t at = connection->input.find(end);
    if (at == std::string::npos || is_blocked_) return;
    const size_t size = at + end.size() + BodyBytes(connection->input);
    if (connection->input.size() < size) return;
    const std::string request = connection->input.substr(0, size);
    connection->input.erase(0, size);
    if (is_qemu) {
      OnQmp(connection, request);
    } else {
      OnHttp(connection, request);
    }
  }
}

FakeHypervisor::Connection* FakeHypervisor::Find(uint64_t id) {
  for (const auto& connection : connections_) {
    if (connection->id == id) return connection.get();
  }
  return nullptr;
}

FakeBalloon::Reply FakeHypervisor::ReplyTo(Connection* connection) {
  return [this, id = connection->id](const std::string& answer) {
    if (Connection* found = Find(id)) Answer(found, answer);
  };
}

void FakeHypervisor::set_change_interval(absl::Duration interval) {
  if (kind_ != config::Hypervisor::kQemu) return;
  balloon_.OnChange(interval, [this] {
    // Only whoever holds the monitor gets to know.
    if (connections_.empty() || !connections_.front()->has_capabilities) return;
    Send(connections_.front().get(),
         absl::StrCat("{\"timestamp\": {\"seconds\": 1795427358, "
                      "\"microseconds\": 227002}, \"event\": "
                      "\"BALLOON_CHANGE\", \"data\": {\"actual\": ",
                      balloon_.memory().count() - balloon_.size().count(),
                      "}}\r\n"),
         /*with_fds=*/false);
  });
}

void FakeHypervisor::OnQmp(Connection* connection, absl::string_view line) {
  const absl::StatusOr<Value> request = ParseJson(line);
  if (!request.ok()) {
    Send(connection,
         "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse "
         "error, expecting value\"}}\r\n",
         /*with_fds=*/false);
    return;
  }
  const Value* execute = request->Find("execute");
  const std::string command =
      execute != nullptr && execute->AsString() != nullptr
          ? *execute->AsString()
          : "";
  const Value* id = request->Find("id");
  const std::string id_text = id == nullptr ? "" : ToJson(*id);
  const auto reply = [&id_text](absl::string_view value) {
    return absl::StrCat("{\"return\": ", value,
                        id_text.empty() ? "" : ", \"id\": ", id_text, "}\r\n");
  };
  const QmpRefusal refuse = [&](absl::string_view error_class,
                                absl::string_view text) {
    Answer(connection,
           absl::StrCat("{\"id\": ", id_text.empty() ? "null" : id_text,
                        ", \"error\": {\"class\": \"", error_class,
                        "\", \"desc\": \"", text, "\"}}\r\n"));
  };
  if (command == "qmp_capabilities") {
    connection->has_capabilities = true;
    Send(connection, absl::StrCat(kEvent, reply("{}")), /*with_fds=*/false);
    return;
  }
  if (!connection->has_capabilities) {
    Send(connection,
         absl::StrCat("{\"id\": ", id_text.empty() ? "null" : id_text,
                      ", \"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                      "\"Expecting capabilities negotiation with "
                      "'qmp_capabilities'\"}}\r\n"),
         /*with_fds=*/false);
    return;
  }
  switch (fault_) {
    case Fault::kUnknown:
      Send(connection, "{\"something\": 1}\r\n", /*with_fds=*/false);
      return;
    case Fault::kWrongId:
      Send(connection, "{\"return\": {}, \"id\": 77}\r\n", /*with_fds=*/false);
      return;
    case Fault::kError:
      Send(connection,
           absl::StrCat("{\"id\": ", id_text,
                        ", \"error\": {\"class\": \"GenericError\", "
                        "\"desc\": \"no\"}}\r\n"),
           /*with_fds=*/false);
      return;
    default:
      break;
  }
  if (command == "query-status") {
    Answer(connection,
           reply(absl::StrCat("{\"status\": \"", state_,
                              "\", \"singlestep\": false, \"running\": ",
                              state_ == "running" ? "true" : "false", "}")));
  } else if (command == "system_powerdown") {
    Answer(connection, absl::StrCat(kEventWithoutData, reply("{}")));
    PressPowerButton();
  } else if (command == "quit") {
    Answer(connection,
           absl::StrCat("{\"timestamp\": {\"seconds\": 1, \"microseconds\": "
                        "2}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": "
                        "false, \"reason\": \"host-qmp-quit\"}}\r\n",
                        reply("{}")));
    is_stopped_ = true;
  } else if (command == "query-memory-size-summary") {
    Answer(connection,
           reply(absl::StrCat("{\"base-memory\": ", balloon_.memory().count(),
                              ", \"plugged-memory\": 0}")));
  } else if (command == "qom-get" || command == "qom-set") {
    OnQmpProperty(
        *request, command == "qom-set",
        [&](absl::string_view value) { Answer(connection, reply(value)); },
        refuse);
  } else if (command == "query-balloon" || command == "balloon") {
    OnQmpBalloon(
        *request, command == "balloon",
        [&](absl::string_view value) { Answer(connection, reply(value)); },
        refuse);
  } else {
    refuse("CommandNotFound", "The command has not been found");
  }
}

void FakeHypervisor::OnQmpProperty(const Value& request, bool is_set,
                                   const QmpReply& reply,
                                   const QmpRefusal& refuse) {
  const Value* arguments = request.Find("arguments");
  const std::string path = TextOf(arguments, "path");
  const std::string property = TextOf(arguments, "property");
  if (!balloon_.exists() || path != "/machine/peripheral/balloon0") {
    refuse("DeviceNotFound", absl::StrCat("Device '", path, "' not found"));
  } else if (!is_set && property == "guest-stats") {
    reply(balloon_.QemuStats());
  } else if (is_set && property == "guest-stats-polling-interval") {
    const std::optional<uint64_t> seconds = NumberOf(arguments, "value");
    if (!seconds || *seconds > std::numeric_limits<uint32_t>::max()) {
      refuse("GenericError", "timer value is too big");
      return;
    }
    balloon_.SetInterval(static_cast<int64_t>(*seconds));
    reply("{}");
  } else {
    refuse("GenericError", "Property not found");
  }
}

void FakeHypervisor::OnQmpBalloon(const Value& request, bool is_set,
                                  const QmpReply& reply,
                                  const QmpRefusal& refuse) {
  const uint64_t memory = balloon_.memory().count();
  if (!balloon_.exists()) {
    refuse("DeviceNotActive", "No balloon device has been activated");
  } else if (!is_set) {
    reply(absl::StrCat("{\"actual\": ", memory - balloon_.size().count(), "}"));
  } else {
    const uint64_t value =
        NumberOf(request.Find("arguments"), "value").value_or(0);
    if (value == 0) {
      refuse("GenericError", "Parameter 'target' expects a size");
      return;
    }
    balloon_.SetTarget(WholePages(memory - std::min(memory, value)));
    reply("{}");
  }
}

void FakeHypervisor::OnCrosvm(Connection* connection,
                              absl::string_view packet) {
  switch (fault_) {
    case Fault::kUnknown:
      Send(connection, "{\"SomethingNew\":{\"a\":1}}", /*with_fds=*/false);
      return;
    case Fault::kError:
      Send(connection, "{\"Err\":95}", /*with_fds=*/false);
      return;
    default:
      break;
  }
  if (packet == "\"Powerbtn\"") {
    Answer(connection, "\"Ok\"");
    PressPowerButton();
  } else if (packet == "\"Exit\"") {
    Answer(connection, "\"Ok\"");
    is_stopped_ = true;
  } else if (packet == "\"VcpuPidTid\"") {
    Answer(connection,
           R"({"VcpuPidTidResponse":{"pid_tid_map":{"0":[4242,4260],)"
           R"("1":[4242,4261]}}})");
  } else {
    OnCrosvmBalloon(connection, packet);
  }
}

void FakeHypervisor::OnCrosvmBalloon(Connection* connection,
                                     absl::string_view packet) {
  const absl::StatusOr<Value> request = ParseJson(packet);
  if (!request.ok()) return;
  if (TextOf(&*request, "BalloonCommand") == "Stats") {
    balloon_.CrosvmStats(ReplyTo(connection));
    return;
  }
  const Value* command = request->Find("BalloonCommand");
  const Value* adjust = command == nullptr ? nullptr : command->Find("Adjust");
  const std::optional<uint64_t> size = NumberOf(adjust, "num_bytes");
  const Value* wait =
      adjust == nullptr ? nullptr : adjust->Find("wait_for_success");
  if (size && wait != nullptr && wait->AsBool() != nullptr) {
    balloon_.CrosvmAdjust(WholePages(*size), *wait->AsBool(),
                          ReplyTo(connection));
  }
  // Everything else gets no answer, and the connection stays.
}

std::string FakeHypervisor::HttpAnswer(int code, absl::string_view body) const {
  std::string out = absl::StrCat("HTTP/1.1 ", code,
                                 " \r\nServer: Cloud Hypervisor API\r\n"
                                 "Connection: keep-alive\r\n");
  if (code == 204) return absl::StrCat(out, "\r\n");
  return absl::StrCat(out, "Content-Type: application/json\r\nContent-Length: ",
                      body.size(), "\r\n\r\n", body);
}

void FakeHypervisor::OnHttp(Connection* connection, absl::string_view request) {
  switch (fault_) {
    case Fault::kUnknown:
      Send(connection, HttpAnswer(299, "[]") + "left over",
           /*with_fds=*/false);
      return;
    case Fault::kError:
      Send(connection,
           HttpAnswer(500, R"(["Error from API","The VM is not running"])"),
           /*with_fds=*/false);
      return;
    default:
      break;
  }
  if (absl::StartsWith(request, "GET /api/v1/vmm.ping HTTP/1.1\r\n")) {
    Answer(connection,
           HttpAnswer(200, R"({"build_version":"v53.0","version":"53.0.0",)"
                           R"("pid":1234,"features":["io_uring","kvm"]})"));
  } else if (absl::StartsWith(request, "GET /api/v1/vm.info HTTP/1.1\r\n")) {
    if (state_ == "none") {
      Answer(connection,
             HttpAnswer(404, R"(["Error from API","VM is not created"])"));
    } else {
      Answer(
          connection,
          HttpAnswer(
              200,
              absl::StrCat(
                  R"({"config":{"cpus":{"boot_vcpus":1},)"
                  R"("memory":{"size":)",
                  balloon_.memory().count(), "}",
                  balloon_.exists() ? R"(,"balloon":{"size":0})" : "",
                  R"(},"state":")", state_ == "running" ? "Running" : "Paused",
                  R"(","memory_actual_size":)",
                  balloon_.memory().count() - balloon_.size().count(), "}")));
    }
  } else if (absl::StartsWith(request, "PUT /api/v1/vm.power-button ")) {
    Answer(connection, HttpAnswer(204, ""));
    PressPowerButton();
  } else if (absl::StartsWith(request, "PUT /api/v1/vmm.shutdown ")) {
    Answer(connection, HttpAnswer(200, ""));
    is_stopped_ = true;
  } else if (absl::StartsWith(request, "PUT /api/v1/vm.resize ")) {
    const absl::StatusOr<Value> body =
        ParseJson(request.substr(request.size() - BodyBytes(request)));
    const std::optional<uint64_t> size =
        body.ok() ? NumberOf(&*body, "desired_balloon") : std::nullopt;
    if (!size) {
      Answer(connection, HttpAnswer(400, R"(["Failed to deserialize JSON"])"));
    } else if (!balloon_.exists()) {
      Answer(connection,
             HttpAnswer(500, R"(["Error from API","No balloon device"])"));
    } else {
      balloon_.SetTarget(WholePages(*size));
      Answer(connection, HttpAnswer(204, ""));
    }
  } else if (balloon_.has_statistics() &&
             absl::StartsWith(request, "GET /api/v1/vm.balloon-stats ")) {
    OnHttpStats(connection);
  } else {
    Answer(connection, HttpAnswer(404, R"(["Not Found"])"));
  }
}

void FakeHypervisor::OnHttpStats(Connection* connection) {
  is_blocked_ = true;
  balloon_.CloudHypervisorStats(
      [this, reply = ReplyTo(connection)](const std::string& stats) {
        is_blocked_ = false;
        reply(stats.empty()
                  ? HttpAnswer(500, R"(["Error from API","No statistics"])")
                  : HttpAnswer(200, stats));
        std::vector<uint64_t> ids;
        for (const auto& other : connections_) ids.push_back(other->id);
        for (const uint64_t id : ids) OnInput(id);
      });
}

void FakeHypervisor::Answer(Connection* connection, const std::string& answer) {
  const bool is_packet = kind_ == config::Hypervisor::kCrosvm;
  switch (fault_) {
    case Fault::kSilence:
      return;
    case Fault::kEnd:
      Close(connection);
      return;
    case Fault::kNoJson:
      Send(connection, "\x01 not at all {\r\n", /*with_fds=*/false);
      return;
    case Fault::kHuge:
      if (is_packet) {
        Send(connection,
             absl::StrCat("{\"ErrString\":\"",
                          std::string(kHugePacketBytes, 'x'), "\"}"),
             /*with_fds=*/false);
      } else if (kind_ == config::Hypervisor::kQemu) {
        Send(connection, std::string(kHugeBytes, ' '), /*with_fds=*/false);
      } else {
        Send(connection, HttpAnswer(200, std::string(kHugeBytes, ' ')),
             /*with_fds=*/false);
      }
      return;
    case Fault::kTruncated:
      Send(connection, absl::string_view(answer).substr(0, answer.size() / 2),
           /*with_fds=*/false);
      Close(connection);
      return;
    case Fault::kBytewise:
      if (is_packet) break;
      for (const char& byte : answer) {
        Send(connection, absl::string_view(&byte, 1), /*with_fds=*/false);
      }
      return;
    case Fault::kLate:
      connection->late += answer;
      return;
    default:
      break;
  }
  Send(connection, answer, fault_ == Fault::kExtraFds);
}

void FakeHypervisor::AnswerLate() {
  for (const auto& connection : connections_) {
    const std::string answer = std::exchange(connection->late, "");
    if (!answer.empty()) Send(connection.get(), answer, /*with_fds=*/false);
  }
}

void FakeHypervisor::Send(Connection* connection, absl::string_view bytes,
                          bool with_fds) {
  absl::StrAppend(&connection->unsent, bytes);
  if (connection->unsent.empty()) return;
  iovec vector = {.iov_base = connection->unsent.data(),
                  .iov_len = connection->unsent.size()};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  if (with_fds) {
    const int fds[2] = {listener_.get(), listener_.get()};
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(header), fds, sizeof(fds));
  }
  const ssize_t n = sendmsg(connection->fd.get(), &message, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    connection->unsent.clear();  // the client has gone
  } else if (n > 0) {
    connection->unsent.erase(0, static_cast<size_t>(n));
  }
  CHECK(
      connection->source
          .SetEvents(connection->unsent.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT)
          .ok());
}

void FakeHypervisor::Close(Connection* connection) {
  connections_.erase(std::find_if(
      connections_.begin(), connections_.end(),
      [connection](const auto& other) { return other.get() == connection; }));
  OnGreet();
}

void FakeHypervisor::PressPowerButton() {
  ++presses_;
  if (!powers_off_) return;
  // After the answer has gone out, and not from within a connection's handler.
  absl::StatusOr<Source> later = loop_->AddTimer(absl::Milliseconds(1), [this] {
    Die(/*clean=*/true);
    return absl::OkStatus();
  });
  CHECK(later.ok());
  later_source_ = *std::move(later);
}

}  // namespace vmsilo::hypervisor
