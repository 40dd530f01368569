// The shipped program, its sandbox on, between a client and a monitor's hybrid
// socket that is played by the test. One file, as all of it is one program's
// behaviour over one fixture.

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "command/frame.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/notify_socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/stream.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::proxy {
namespace {

using ::testing::HasSubstr;

class ProxyTest : public ::testing::Test {
 protected:
  struct Running {
    UniqueFd client;
    ChildProcess process;
  };

  std::string SocketPath() const { return dir_.Path("vsock.socket"); }

  void Listen() {
    auto listener = ListenUnix(SocketPath(), 0600);
    ASSERT_THAT(listener, IsOk());
    listener_ = *std::move(listener);
  }

  // With its standard input, output and (if asked for) error on one socket,
  // as systemd starts it for a connection.
  Running Start(std::vector<std::string> options = {},
                bool also_stderr = false) {
    auto pair = MakeSocketPair(SOCK_STREAM, 0);
    EXPECT_THAT(pair, IsOk());
    std::vector<std::string> argv = {
        Runfile("proxy/vmsilo-proxy"),
        absl::StrCat("--address=unix:", SocketPath(), ":5000")};
    argv.insert(argv.end(), options.begin(), options.end());
    std::map<int, int> fds = {{0, pair->second.get()}, {1, pair->second.get()}};
    if (also_stderr) fds[2] = pair->second.get();
    return {std::move(pair->first),
            ChildProcess::Start({.argv = argv, .fds = fds})};
  }

  // The next connection of the proxy, its request read.
  UniqueFd AcceptRequest() {
    UniqueFd guest = AcceptOne(listener_.get());
    EXPECT_EQ(ReadUntil(guest.get(), "\n"), "CONNECT 5000\n");
    return guest;
  }

  // The same, answered.
  UniqueFd AcceptGuest() {
    UniqueFd guest = AcceptRequest();
    SendAll(guest.get(), "OK 1073741824\n");
    return guest;
  }

  // The one frame that a client gets when the guest cannot be reached.
  static std::optional<command::Error> ErrorIn(absl::string_view bytes) {
    command::Decoder decoder;
    const auto frame = decoder.Next(&bytes);
    if (!frame.ok() || !frame->has_value() || !bytes.empty()) {
      return std::nullopt;
    }
    const auto* error = std::get_if<command::Error>(&**frame);
    if (error == nullptr) return std::nullopt;
    return *error;
  }

  TempDir dir_;
  UniqueFd listener_;
};

// How much one end can send while the other does not read.
size_t SendUntilFull(int fd) {
  const std::string piece(64 * 1024, 'f');
  size_t sent = 0;
  for (;;) {
    pollfd entry = {.fd = fd, .events = POLLOUT};
    if (poll(&entry, 1, 300) == 0) return sent;
    const ssize_t count =
        send(fd, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) sent += static_cast<size_t>(count);
    if (sent > 64'000'000) return sent;
  }
}

TEST_F(ProxyTest, RelaysBothWaysAndPassesOnEachEnd) {
  Listen();
  Running proxy = Start();
  SendAll(proxy.client.get(), "before anybody answers, ");
  UniqueFd guest = AcceptGuest();
  SendAll(proxy.client.get(), "and after");
  shutdown(proxy.client.get(), SHUT_WR);
  EXPECT_EQ(ReadToEnd(guest.get()), "before anybody answers, and after");
  SendAll(guest.get(), "answer");
  guest.Reset();
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "answer");
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
}

TEST_F(ProxyTest, TheGuestMayEndFirst) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "bye");
  shutdown(guest.get(), SHUT_WR);
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "bye");
  SendAll(proxy.client.get(), "still here");
  proxy.client.Reset();
  EXPECT_EQ(ReadToEnd(guest.get()), "still here");
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, BytesThatComeWithTheAnswerAreTheGuests) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptRequest();
  SendAll(guest.get(), "OK 1073741824\nearly\nbytes");
  guest.Reset();
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "early\nbytes");
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, TheAnswerMayComeByteByByte) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptRequest();
  for (const char byte : absl::string_view("OK 5000\nhello")) {
    SendAll(guest.get(), absl::string_view(&byte, 1));
  }
  EXPECT_EQ(ReadExactly(proxy.client.get(), 5), "hello");
}

TEST_F(ProxyTest, ARefusalIsTriedAgain) {
  Listen();
  Running proxy = Start();
  for (int i = 0; i < 3; ++i) AcceptRequest().Reset();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "at last");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 7), "at last");
}

TEST_F(ProxyTest, AMonitorThatSaysNothingIsAskedAgain) {
  Listen();
  Running proxy = Start();
  const UniqueFd silent = AcceptRequest();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "now");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 3), "now");
  EXPECT_EQ(ReadToEnd(silent.get()), "");  // given up, not left open
}

TEST_F(ProxyTest, WaitsForAVmThatIsNotThereYet) {
  Running proxy = Start();
  EXPECT_TRUE(IsSilentFor(proxy.client.get(), absl::Milliseconds(50)));
  Listen();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "up");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 2), "up");
}

TEST_F(ProxyTest, SaysThatTheVmIsNotThere) {
  Running proxy = Start({"--wait=100ms"});
  const auto error = ErrorIn(ReadToEnd(proxy.client.get()));
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code,
            static_cast<uint16_t>(command::ErrorCode::kVmUnreachable));
  EXPECT_THAT(error->message, HasSubstr(SocketPath()));
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.err, HasSubstr("No such file or directory"));
}

TEST_F(ProxyTest, ASocketThatNobodyListensOnIsNoVm) {
  Listen();
  listener_.Reset();
  Running proxy = Start({"--wait=100ms"});
  EXPECT_TRUE(ErrorIn(ReadToEnd(proxy.client.get())).has_value());
  EXPECT_EQ(proxy.process.Wait().exit_code, 69);
}

TEST_F(ProxyTest, SaysThatTheAgentDoesNotAnswer) {
  Listen();
  for (const bool closes : {true, false}) {
    Running proxy = Start({"--wait=300ms"});
    UniqueFd guest = AcceptRequest();
    if (closes) {
      guest.Reset();
      // The attempts that follow end when nobody listens any more.
      while (IsSilentFor(proxy.client.get(), absl::ZeroDuration())) {
        pollfd fds[] = {{.fd = listener_.get(), .events = POLLIN},
                        {.fd = proxy.client.get(), .events = POLLIN}};
        ASSERT_GT(poll(fds, 2, 10'000), 0);
        if (fds[0].revents != 0) AcceptRequest().Reset();
      }
    }
    const auto error = ErrorIn(ReadToEnd(proxy.client.get()));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code,
              static_cast<uint16_t>(command::ErrorCode::kAgentUnreachable));
    EXPECT_EQ(proxy.process.Wait().exit_code, 75);
  }
}

TEST_F(ProxyTest, RefusesAnAnswerOfAnotherProtocol) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptRequest();
  SendAll(guest.get(), "HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_TRUE(ErrorIn(ReadToEnd(proxy.client.get())).has_value());
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 76);
  EXPECT_THAT(result.err, HasSubstr("'HTTP/1.1"));
}

TEST_F(ProxyTest, DoesNotFollowALinkInPlaceOfTheSocket) {
  auto other = ListenUnix(dir_.Path("other"), 0600);
  ASSERT_THAT(other, IsOk());
  ASSERT_EQ(symlink(dir_.Path("other").c_str(), SocketPath().c_str()), 0);
  Running proxy = Start();
  EXPECT_TRUE(ErrorIn(ReadToEnd(proxy.client.get())).has_value());
  EXPECT_EQ(proxy.process.Wait().exit_code, 77);
}

TEST_F(ProxyTest, EndsWhenTheClientLeavesWhileItWaits) {
  Running proxy = Start();
  proxy.client.Reset();
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(ProxyTest, EndsWhenTheClientLeavesLater) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "x");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 1), "x");
  proxy.client.Reset();
  EXPECT_EQ(ReadToEnd(guest.get()), "");
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, DoesNotStayForAGuestThatTakesNothingOfAClientThatIsGone) {
  Listen();
  Running proxy = Start();
  const UniqueFd guest = AcceptGuest();
  (void)SendUntilFull(proxy.client.get());
  proxy.client.Reset();
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, SaysThatTheGuestBrokeOff) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "half a");
  SendAll(proxy.client.get(), "unread");
  // Closing with unread bytes is a reset, as when a monitor is killed.
  ASSERT_FALSE(IsSilentFor(guest.get(), absl::Seconds(10)));
  guest.Reset();
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "half a");
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 76);
  EXPECT_THAT(result.err, HasSubstr("broke off"));
}

TEST_F(ProxyTest, SaysThatTheGuestVanishedWithBytesOnTheWay) {
  Listen();
  Running proxy = Start();
  const UniqueFd guest = AcceptGuest();
  ASSERT_GT(SendUntilFull(proxy.client.get()), 0u);
  // An end like any other, but for what the client has sent.
  ASSERT_EQ(shutdown(guest.get(), SHUT_RDWR), 0);
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "");
  const auto result = proxy.process.Wait();
  EXPECT_EQ(result.exit_code, 76);
  EXPECT_THAT(result.err, HasSubstr("broke off"));
}

TEST_F(ProxyTest, TheGuestsLastWordArrivesAlthoughItReadsNoMore) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptGuest();
  const std::string last(300'000, 'z');
  // More than the sockets hold, so that the proxy is in the middle of passing
  // on both ways when the guest closes.
  std::string unread(4'000'000, 'u');
  while (!unread.empty()) {
    pollfd entry = {.fd = proxy.client.get(), .events = POLLOUT};
    if (poll(&entry, 1, 200) == 0) break;
    const ssize_t sent = send(proxy.client.get(), unread.data(), unread.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    ASSERT_GT(sent, 0);
    unread.erase(0, static_cast<size_t>(sent));
  }
  ASSERT_FALSE(unread.empty());
  std::string got;
  size_t sent = 0;
  while (sent < last.size()) {
    const size_t piece = std::min<size_t>(last.size() - sent, 50'000);
    SendAll(guest.get(), absl::string_view(last).substr(sent, piece));
    sent += piece;
    if (sent < last.size()) got += ReadExactly(proxy.client.get(), piece);
  }
  guest.Reset();
  got += ReadToEnd(proxy.client.get());
  EXPECT_EQ(got, last);
}

// Sends and receives on both ends at the same time, in uneven pieces.
void ExchangeAll(int client, int guest, size_t size) {
  struct End {
    int fd;
    uint64_t sent = 0, received = 0;
    bool has_ended = false;
  } ends[] = {{client}, {guest}};
  const auto byte_at = [](uint64_t i, int end) {
    return static_cast<char>((i * 2654435761u >> 7) + end);
  };
  std::string buffer(100'000, '\0');
  while (!ends[0].has_ended || !ends[1].has_ended) {
    pollfd fds[2];
    for (int i = 0; i < 2; ++i) {
      const bool sends = ends[i].sent < size;
      fds[i] = {.fd = ends[i].has_ended && !sends ? -1 : ends[i].fd,
                .events = static_cast<short>((sends ? POLLOUT : 0) |
                                             (ends[i].has_ended ? 0 : POLLIN))};
    }
    ASSERT_GT(poll(fds, 2, 20'000), 0);
    for (int i = 0; i < 2; ++i) {
      End& end = ends[i];
      if ((fds[i].revents & POLLOUT) != 0 && end.sent < size) {
        const size_t piece =
            std::min<size_t>(size - end.sent, 1 + end.sent % 99'999);
        for (size_t k = 0; k < piece; ++k) {
          buffer[k] = byte_at(end.sent + k, i);
        }
        const ssize_t count =
            send(end.fd, buffer.data(), piece, MSG_DONTWAIT | MSG_NOSIGNAL);
        ASSERT_TRUE(count > 0 || errno == EAGAIN);
        end.sent += static_cast<uint64_t>(std::max<ssize_t>(count, 0));
        if (end.sent == size) shutdown(end.fd, SHUT_WR);
      }
      if ((fds[i].revents & (POLLIN | POLLHUP)) != 0 && !end.has_ended) {
        const ssize_t count = recv(end.fd, buffer.data(), buffer.size(), 0);
        ASSERT_GE(count, 0);
        end.has_ended = count == 0;
        for (ssize_t k = 0; k < count; ++k) {
          ASSERT_EQ(buffer[static_cast<size_t>(k)],
                    byte_at(end.received + static_cast<uint64_t>(k), 1 - i));
        }
        end.received += static_cast<uint64_t>(count);
      }
    }
  }
  EXPECT_EQ(ends[0].received, size);
  EXPECT_EQ(ends[1].received, size);
}

TEST_F(ProxyTest, CarriesMuchBothWaysAtTheSameTimeUnchanged) {
  Listen();
  Running proxy = Start();
  const UniqueFd guest = AcceptGuest();
  ExchangeAll(proxy.client.get(), guest.get(), 48'000'000);
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, AReaderThatDoesNotReadStopsTheWriterAndNothingElse) {
  Listen();
  Running proxy = Start();
  const UniqueFd guest = AcceptGuest();
  const size_t sent = SendUntilFull(guest.get());
  EXPECT_LT(sent, 3'000'000u);
  // The other direction goes on.
  SendAll(proxy.client.get(), "stop");
  EXPECT_EQ(ReadExactly(guest.get(), 4), "stop");
  EXPECT_EQ(ReadExactly(proxy.client.get(), sent).size(), sent);
}

// A process that wants to run and does not get to is not asleep.
bool IsAsleep(pid_t pid) {
  const auto status = ReadFile(absl::StrCat("/proc/", pid, "/status"), 65536);
  EXPECT_THAT(status, IsOk());
  return status->find("\nState:\tS") != std::string::npos;
}

uint64_t ContextSwitches(pid_t pid) {
  const auto status = ReadFile(absl::StrCat("/proc/", pid, "/status"), 65536);
  EXPECT_THAT(status, IsOk());
  uint64_t sum = 0;
  for (const char* key :
       {"\nvoluntary_ctxt_switches:\t", "\nnonvoluntary_ctxt_switches:\t"}) {
    const size_t at = status->find(key);
    EXPECT_NE(at, std::string::npos);
    sum += strtoull(status->c_str() + at + strlen(key), nullptr, 10);
  }
  return sum;
}

TEST_F(ProxyTest, SleepsWhileNothingHappens) {
  Listen();
  Running proxy = Start();
  const UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "x");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 1), "x");
  // Full in one direction, so that it waits for room as well; then half
  // closed, whose hang-up could be reported for ever.
  (void)SendUntilFull(guest.get());
  shutdown(guest.get(), SHUT_WR);
  shutdown(proxy.client.get(), SHUT_WR);
  EXPECT_EQ(ReadToEnd(guest.get()), "");
  ASSERT_FALSE(IsSilentFor(proxy.client.get(), absl::ZeroDuration()));
  // Until it sleeps: what it still had to do is done.
  uint64_t before = 0;
  do {
    before = ContextSwitches(proxy.process.pid());
    poll(nullptr, 0, 50);
  } while (ContextSwitches(proxy.process.pid()) != before ||
           !IsAsleep(proxy.process.pid()));
  poll(nullptr, 0, 500);
  EXPECT_EQ(ContextSwitches(proxy.process.pid()), before);
}

TEST_F(ProxyTest, ItsMessagesNeverReachTheClient) {
  Listen();
  Running proxy = Start({"--log-level=trace"}, /*also_stderr=*/true);
  AcceptRequest().Reset();  // something to complain about
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "only this");
  guest.Reset();
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "only this");
  EXPECT_EQ(proxy.process.Wait().exit_code, 0);
}

TEST_F(ProxyTest, EndsAtOnceWhenToldTo) {
  Listen();
  Running proxy = Start();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "x");
  EXPECT_EQ(ReadExactly(proxy.client.get(), 1), "x");
  proxy.process.Signal(SIGTERM);
  EXPECT_EQ(proxy.process.Wait(absl::Seconds(5)).exit_code, 0);
  EXPECT_EQ(ReadToEnd(guest.get()), "");
  EXPECT_EQ(ReadToEnd(proxy.client.get()), "");
}

TEST_F(ProxyTest, WithoutASocketItSaysWhatIsMissing) {
  const auto result =
      RunProcess({Runfile("proxy/vmsilo-proxy"), "--address=vsock:3:5000"});
  EXPECT_EQ(result.exit_code, 64);
  EXPECT_THAT(result.err, HasSubstr("--listen"));
}

TEST_F(ProxyTest, BadAddressesAreUsageErrors) {
  for (const char* address : {"", "vsock:3", "tcp:a:1"}) {
    const auto result = RunProcess(
        {Runfile("proxy/vmsilo-proxy"), absl::StrCat("--address=", address)});
    EXPECT_EQ(result.exit_code, 64) << address;
    EXPECT_THAT(result.err, HasSubstr("vsock:CID:PORT"));
  }
}

class ListeningProxyTest : public ProxyTest {
 protected:
  ChildProcess StartServer(absl::string_view wait) {
    NotifySocket manager(dir_.Path("manager"));
    ChildProcess server = ChildProcess::Start(
        {.argv = {Runfile("proxy/vmsilo-proxy"),
                  absl::StrCat("--address=unix:", SocketPath(), ":5000"),
                  absl::StrCat("--listen=", dir_.Path("clients")),
                  absl::StrCat("--wait=", wait)},
         .environment = {{"NOTIFY_SOCKET", manager.path()}}});
    EXPECT_EQ(manager.Next(), "READY=1");
    return server;
  }

  UniqueFd Connect() {
    absl::StatusOr<UniqueFd> client = ConnectUnix(dir_.Path("clients"));
    EXPECT_THAT(client, IsOk());
    return client.ok() ? *std::move(client) : UniqueFd();
  }
};

TEST_F(ListeningProxyTest, ServesManyClients) {
  ChildProcess process = StartServer("60s");
  Listen();
  constexpr int kClients = 120;  // more than it takes at a time
  std::vector<UniqueFd> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(Connect());
    SendAll(clients.back().get(), absl::StrCat("client ", i, "\n"));
  }
  struct stat info = {};
  ASSERT_EQ(stat(dir_.Path("clients").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  for (int i = 0; i < kClients; ++i) {
    UniqueFd guest = AcceptGuest();
    SendAll(guest.get(), absl::StrCat("for ", ReadUntil(guest.get(), "\n")));
    guest.Reset();
    int client = -1;
    // Which one it is depends on the order of the answers.
    for (int k = 0; k < kClients && client < 0; ++k) {
      pollfd entry = {.fd = clients[k].get(), .events = POLLIN};
      if (clients[k].is_valid() && poll(&entry, 1, 0) == 1) client = k;
      if (client < 0 && k == kClients - 1) k = (poll(nullptr, 0, 1), -1);
    }
    EXPECT_EQ(ReadToEnd(clients[client].get()),
              absl::StrCat("for client ", client, "\n"));
    clients[client].Reset();
  }
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(absl::Seconds(5)).exit_code, 0);
  EXPECT_NE(stat(dir_.Path("clients").c_str(), &info), 0);
}

TEST_F(ListeningProxyTest, TellsEachClientWhyAndGoesOn) {
  const ChildProcess process = StartServer("300ms");
  for (int i = 0; i < 2; ++i) {
    const UniqueFd client = Connect();
    EXPECT_TRUE(ErrorIn(ReadToEnd(client.get())).has_value());
  }
  Listen();
  const UniqueFd client = Connect();
  UniqueFd guest = AcceptGuest();
  SendAll(guest.get(), "fine");
  guest.Reset();
  EXPECT_EQ(ReadToEnd(client.get()), "fine");
}

}  // namespace
}  // namespace vmsilo::proxy
