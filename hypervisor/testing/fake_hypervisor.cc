#include "hypervisor/testing/fake_hypervisor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "common/json.h"
#include "common/log.h"
#include "common/socket.h"
#include "common/unique_fd.h"
#include "common/value.h"
#include "config/config.h"

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

}  // namespace

struct FakeHypervisor::Connection {
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
    : loop_(loop), kind_(kind), path_(std::move(path)) {
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
  ++accepted_;
  auto owned = std::make_unique<Connection>();
  Connection* connection = owned.get();
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
  const absl::string_view end =
      kind_ == config::Hypervisor::kQemu ? "\n" : "\r\n\r\n";
  for (;;) {
    const size_t at = connection->input.find(end.data(), 0, end.size());
    if (at == std::string::npos) return;
    const std::string request = connection->input.substr(0, at + end.size());
    connection->input.erase(0, request.size());
    if (kind_ == config::Hypervisor::kQemu) {
      OnQmp(connection, request);
    } else {
      OnHttp(connection, request);
    }
    // The answer may have been the end of the connection.
    if (std::none_of(connections_.begin(), connections_.end(),
                     [connection](const auto& other) {
                       return other.get() == connection;
                     })) {
      return;
    }
  }
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
  } else {
    Send(connection,
         absl::StrCat("{\"id\": ", id_text,
                      ", \"error\": {\"class\": \"CommandNotFound\", "
                      "\"desc\": \"The command has not been found\"}}\r\n"),
         /*with_fds=*/false);
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
      Answer(connection,
             HttpAnswer(200,
                        absl::StrCat(R"({"config":{"cpus":{"boot_vcpus":1}},)"
                                     R"("state":")",
                                     state_ == "running" ? "Running" : "Paused",
                                     R"(","memory_actual_size":1073741824})")));
    }
  } else if (absl::StartsWith(request, "PUT /api/v1/vm.power-button ")) {
    Answer(connection, HttpAnswer(204, ""));
    PressPowerButton();
  } else if (absl::StartsWith(request, "PUT /api/v1/vmm.shutdown ")) {
    Answer(connection, HttpAnswer(200, ""));
    is_stopped_ = true;
  } else {
    Answer(connection, HttpAnswer(404, R"(["Not Found"])"));
  }
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
      connection->late = answer;
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
