// An agent whose commands are made up: the first argument says what it does,
// so that every way in which a session can go is at a test's hand, also those
// in which the peer breaks the protocol. Serves one connection after another.
//
//   fake_agent SOCKET [MODE]
//
// prints "ready" when it listens. MODE is what it does before HELLO: "serve",
// the default, "silent", "close", "garbage", "refuse" (an ERROR frame), "hello"
// (and nothing after it).

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "command/frame.h"
#include "command/server.h"
#include "common/socket.h"

namespace vmsilo::cli {
namespace {

using command::ErrorCode;
using command::Exit;
using command::ServerSession;
using command::Stream;

class Connection : private ServerSession::Handler {
 public:
  explicit Connection(int fd) : fd_(fd) {}

  void Serve() {
    while (!is_closed_) {
      Produce();
      const bool has_pending = !session_.pending().empty();
      if (session_.is_finished() && !has_pending) return;
      pollfd poll_fd = {.fd = fd_,
                        .events = static_cast<short>(
                            has_pending ? POLLIN | POLLOUT : POLLIN)};
      if (poll(&poll_fd, 1, -1) < 0) return;
      if ((poll_fd.revents & POLLOUT) != 0) {
        const ssize_t n = send(fd_, session_.pending().data(),
                               session_.pending().size(), MSG_NOSIGNAL);
        if (n < 0) return;
        session_.Consume(static_cast<size_t>(n));
      }
      if ((poll_fd.revents & (POLLIN | POLLHUP)) != 0) {
        std::array<char, 65536> buffer;
        const ssize_t n = recv(fd_, buffer.data(), buffer.size(), 0);
        if (n <= 0) return;
        (void)session_.Receive(
            absl::string_view(buffer.data(), static_cast<size_t>(n)));
      }
    }
  }

 private:
  void OnStart(const command::Start& start) override {
    start_ = start;
    const std::string& what = start.arguments[0];
    const auto argument = [&start](size_t i) {
      int value = 0;
      if (i < start.arguments.size()) {
        (void)absl::SimpleAtoi(start.arguments[i], &value);
      }
      return value;
    };
    if (what == "error") {
      session_.Fail(static_cast<ErrorCode>(argument(1)),
                    start.arguments.size() > 2 ? start.arguments[2] : "");
      return;
    }
    session_.SendStarted(42);
    if (start.detach) return;
    if (what == "args") {
      std::string text;
      for (size_t i = 1; i < start.arguments.size(); ++i) {
        absl::StrAppend(&text, "[", start.arguments[i], "]\n");
      }
      std::vector<std::string> environment = start.environment;
      std::sort(environment.begin(), environment.end());
      for (const std::string& entry : environment) {
        absl::StrAppend(&text, entry, "\n");
      }
      absl::StrAppend(&text, "tty=", start.tty,
                      " rows=", start.window_size.rows,
                      " directory=", start.directory, "\n");
      Say(Stream::kStdout, text);
      session_.Finish(Exit{});
    } else if (what == "exit") {
      session_.Finish(Exit{.value = static_cast<uint8_t>(argument(1))});
    } else if (what == "kill") {
      session_.Finish(Exit{.how = Exit::How::kKilled,
                           .value = static_cast<uint8_t>(argument(1))});
    } else if (what == "both") {
      Say(Stream::kStdout, "to stdout\n");
      Say(Stream::kStderr, "to stderr\n");
      session_.Finish(Exit{});
    } else if (what == "write") {
      Say(Stream::kStdout, start.arguments.at(1));
      session_.Finish(Exit{});
    } else if (what == "wait" || what == "ignore") {
      Say(Stream::kStdout, "waiting\n");
    } else if (what == "drop") {
      Say(Stream::kStdout, "half a sen");
      Flush();
      is_closed_ = true;
    } else if (what == "garbage") {
      Flush();
      (void)!write(fd_, "this is no frame at all", 23);
    } else if (what == "flood") {
      bytes_left_ = static_cast<size_t>(argument(1));
    }
  }

  void OnStdin(absl::string_view bytes) override {
    if (start_.arguments[0] == "cat") {
      held_.append(bytes.data(), bytes.size());
    } else {
      session_.Consumed(bytes.size());
      if (start_.arguments[0] == "keys") {
        // Says what was typed, until a "q".
        for (const char c : bytes) {
          Say(Stream::kStdout, absl::StrCat("<", static_cast<int>(c), ">"));
          if (c == 'q') session_.Finish(Exit{});
        }
      }
    }
  }
  void OnStdinEnd() override { stdin_ended_ = true; }
  void OnWindowSize(const command::WindowSize& size) override {
    Say(Stream::kStdout, absl::StrCat("rows=", size.rows, "\n"));
  }
  void OnSignal(uint8_t number) override {
    if (start_.arguments[0] == "ignore") {
      Say(Stream::kStdout, absl::StrCat("signal ", number, "\n"));
      return;
    }
    session_.Finish(Exit{.how = Exit::How::kKilled, .value = number});
  }

  void Say(Stream stream, absl::string_view text) {
    if (session_.OutputCapacity(stream) >= text.size()) {
      session_.SendOutput(stream, text);
    }
  }

  void Flush() {
    while (!session_.pending().empty()) {
      const ssize_t n =
          write(fd_, session_.pending().data(), session_.pending().size());
      if (n <= 0) return;
      session_.Consume(static_cast<size_t>(n));
    }
  }

  // What the credit allows of what is to be sent.
  void Produce() {
    while (!held_.empty()) {
      const size_t room = std::min({held_.size(), command::kMaxDataBytes,
                                    session_.OutputCapacity(Stream::kStdout)});
      if (room == 0) break;
      session_.SendOutput(Stream::kStdout,
                          absl::string_view(held_).substr(0, room));
      session_.Consumed(room);
      held_.erase(0, room);
    }
    if (stdin_ended_ && held_.empty() && start_.arguments[0] == "cat") {
      stdin_ended_ = false;
      session_.Finish(Exit{});
    }
    while (bytes_left_ > 0) {
      const size_t room = std::min({bytes_left_, command::kMaxDataBytes,
                                    session_.OutputCapacity(Stream::kStdout)});
      if (room == 0) break;
      session_.SendOutput(Stream::kStdout, std::string(room, 'y'));
      bytes_left_ -= room;
      if (bytes_left_ == 0) session_.Finish(Exit{});
    }
  }

  int fd_;
  ServerSession session_{this};
  command::Start start_;
  std::string held_;
  size_t bytes_left_ = 0;
  bool stdin_ended_ = false;
  bool is_closed_ = false;
};

int Main(int argc, char** argv) {
  if (argc < 2) return 64;
  const std::string mode = argc > 2 ? argv[2] : "serve";
  signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<UniqueFd> listener = ListenUnix(argv[1], 0600);
  if (!listener.ok()) {
    fprintf(stderr, "%s\n", listener.status().ToString().c_str());
    return 71;
  }
  printf("ready\n");
  fflush(stdout);
  std::vector<UniqueFd> kept;
  for (;;) {
    pollfd poll_fd = {.fd = listener->get(), .events = POLLIN};
    if (poll(&poll_fd, 1, -1) < 0) return 71;
    absl::StatusOr<UniqueFd> connection = Accept(listener->get());
    if (!connection.ok()) continue;
    if (mode == "silent" || mode == "hello") {
      std::string bytes;
      if (mode == "hello") command::AppendFrame(command::Hello{}, &bytes);
      (void)!write(connection->get(), bytes.data(), bytes.size());
      kept.push_back(*std::move(connection));
    } else if (mode == "garbage") {
      (void)!write(connection->get(), "SSH-2.0-OpenSSH_9.2\r\n", 21);
    } else if (mode == "refuse") {
      std::string bytes;
      command::AppendFrame(
          command::MakeError(ErrorCode::kAgentUnreachable, "60 s passed"),
          &bytes);
      (void)!write(connection->get(), bytes.data(), bytes.size());
    } else if (mode == "serve") {
      Connection(connection->get()).Serve();
    }
  }
}

}  // namespace
}  // namespace vmsilo::cli

int main(int argc, char** argv) { return vmsilo::cli::Main(argc, argv); }
