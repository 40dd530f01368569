#include "balloond/control_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "balloon/limits.h"
#include "balloon/message.h"
#include "common/epoll_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FakeHandler final : public ControlSocket::Handler {
 public:
  balloon::Status GetStatus() override {
    ++asked;
    balloon::Status status = {.policy = "level", .rounds = rounds};
    status.vms.resize(static_cast<size_t>(silos));
    for (balloon::Status::Vm& vm : status.vms) {
      vm = {.name = std::string(100, 'n'),
            .hypervisor = "qemu",
            .reason = "none"};
    }
    return status;
  }
  std::string GetMetrics() override { return metrics; }
  absl::Status Set(const balloon::SetRequest& request) override {
    wishes.push_back(request);
    return request.vm == "work" ? absl::OkStatus()
                                : absl::NotFoundError("no such silo");
  }

  int64_t rounds = 0;
  int silos = 0;
  int asked = 0;
  std::string metrics = "# EOF\n";
  std::vector<balloon::SetRequest> wishes;
};

class ControlSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<EpollEventLoop>> loop =
        EpollEventLoop::Create();
    ASSERT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
    absl::StatusOr<UniqueFd> listener = ListenUnix(path_, 0600);
    ASSERT_THAT(listener, IsOk());
    socket_.emplace(loop_.get(), *std::move(listener), std::nullopt, &handler_);
    ASSERT_THAT(socket_->Start(), IsOk());
  }

  UniqueFd Connect() {
    absl::StatusOr<UniqueFd> fd = ConnectUnix(path_);
    EXPECT_THAT(fd, IsOk());
    return fd.ok() ? *std::move(fd) : UniqueFd();
  }

  void Send(const UniqueFd& fd, absl::string_view text) {
    ASSERT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  // Runs the loop until a whole line has come, or the end; without the end of
  // the line.
  std::string NextLine(const UniqueFd& fd) {
    std::string& text = received_[fd.get()];
    bool has_ended = false;
    const auto has_line = [&] {
      char buffer[65536];
      const ssize_t size = recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
      if (size == 0) has_ended = true;
      return has_ended || text.find('\n') != std::string::npos;
    };
    EXPECT_TRUE(RunUntil(loop_.get(), has_line));
    const size_t end = text.find('\n');
    if (end == std::string::npos) return "";
    std::string line = text.substr(0, end);
    text.erase(0, end + 1);
    return line;
  }

  absl::StatusOr<balloon::Answer> NextAnswer(const UniqueFd& fd) {
    return balloon::DecodeAnswer(NextLine(fd));
  }

  absl::StatusOr<balloon::Answer> Ask(const UniqueFd& fd,
                                      const balloon::Request& request) {
    Send(fd, balloon::Encode(request));
    return NextAnswer(fd);
  }

  bool HasEnded(const UniqueFd& fd) {
    char byte = 0;
    return RunUntil(loop_.get(), [&] {
      return recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0;
    });
  }

  TempDir dir_;
  const std::string path_ = dir_.Path("control.socket");
  FakeHandler handler_;
  std::unique_ptr<EpollEventLoop> loop_;
  std::optional<ControlSocket> socket_;
  std::map<int, std::string> received_;
};

int64_t RoundsOf(const absl::StatusOr<balloon::Answer>& answer) {
  if (!answer.ok()) return -1;
  const auto* status = std::get_if<balloon::Status>(&*answer);
  return status == nullptr ? -2 : status->rounds;
}

TEST_F(ControlSocketTest, AnswersRequestsInTheirOrder) {
  const UniqueFd fd = Connect();
  handler_.rounds = 5;
  Send(fd, absl::StrCat(balloon::Encode(balloon::StatusRequest()),
                        balloon::Encode(balloon::MetricsRequest()),
                        balloon::Encode(balloon::SetRequest{
                            .vm = "work", .balloon = 1 << 20})));
  EXPECT_EQ(RoundsOf(NextAnswer(fd)), 5);
  EXPECT_THAT(
      NextAnswer(fd),
      IsOkAndHolds(balloon::Answer(balloon::Metrics{.text = "# EOF\n"})));
  EXPECT_THAT(NextAnswer(fd), IsOkAndHolds(balloon::Answer(balloon::Done())));
  EXPECT_THAT(handler_.wishes, ElementsAre(balloon::SetRequest{
                                   .vm = "work", .balloon = 1 << 20}));
}

TEST_F(ControlSocketTest, AnswersSomebodyWhoHasSaidAll) {
  const UniqueFd fd = Connect();
  Send(fd, balloon::Encode(balloon::StatusRequest()));
  ASSERT_EQ(shutdown(fd.get(), SHUT_WR), 0);
  EXPECT_EQ(RoundsOf(NextAnswer(fd)), 0);
  EXPECT_TRUE(HasEnded(fd));
}

TEST_F(ControlSocketTest, TakesARequestInPieces) {
  const UniqueFd fd = Connect();
  for (const char byte : balloon::Encode(balloon::StatusRequest())) {
    Send(fd, absl::string_view(&byte, 1));
    (void)loop_->RunOnce(absl::Milliseconds(1));
  }
  EXPECT_EQ(RoundsOf(NextAnswer(fd)), 0);
}

TEST_F(ControlSocketTest, AWishThatCannotBeIsToldSo) {
  const UniqueFd fd = Connect();
  EXPECT_THAT(Ask(fd, balloon::SetRequest{.vm = "wrok", .balloon = 1}),
              StatusIs(absl::StatusCode::kNotFound));
  // The connection lives on.
  EXPECT_THAT(Ask(fd, balloon::SetRequest{.vm = "work"}), IsOk());
}

TEST_F(ControlSocketTest, WatchersHearOfEveryChange) {
  const UniqueFd one = Connect();
  const UniqueFd two = Connect();
  EXPECT_EQ(RoundsOf(Ask(one, balloon::WatchRequest())), 0);
  EXPECT_EQ(RoundsOf(Ask(two, balloon::StatusRequest())), 0);
  for (int round = 1; round < 4; ++round) {
    handler_.rounds = round;
    socket_->Publish();
    EXPECT_EQ(RoundsOf(NextAnswer(one)), round);
  }
  char byte = 0;
  EXPECT_EQ(recv(two.get(), &byte, 1, MSG_DONTWAIT), -1);
}

TEST_F(ControlSocketTest, AWatcherThatDoesNotReadGetsTheLatest) {
  const UniqueFd fd = Connect();
  handler_.silos = balloon::kMaxVms;
  EXPECT_EQ(RoundsOf(Ask(fd, balloon::WatchRequest())), 0);
  constexpr int kRounds = 1000;
  for (int round = 1; round <= kRounds; ++round) {
    handler_.rounds = round;
    socket_->Publish();
  }
  // What nobody takes is not made either.
  EXPECT_LT(handler_.asked, 50);
  int64_t last = 0;
  int count = 0;
  while (last < kRounds) {
    const int64_t next = RoundsOf(NextAnswer(fd));
    ASSERT_GT(next, last);
    last = next;
    ++count;
  }
  EXPECT_LT(count, 50);
}

TEST_F(ControlSocketTest, WhoDoesNotReadIsNotListenedTo) {
  const UniqueFd fd = Connect();
  handler_.silos = balloon::kMaxVms;
  constexpr int kRequests = 200;
  std::string many;
  for (int i = 0; i < kRequests; ++i) {
    many += balloon::Encode(balloon::StatusRequest());
  }
  Send(fd, many);
  for (int i = 0; i < 2 * kRequests; ++i) {
    (void)loop_->RunOnce(absl::ZeroDuration());
  }
  EXPECT_LT(handler_.asked, kRequests / 4);
  for (int i = 0; i < kRequests; ++i) EXPECT_NE(NextLine(fd), "");
  EXPECT_EQ(handler_.asked, kRequests);
}

TEST_F(ControlSocketTest, NonsenseEndsTheConnection) {
  for (const char* line :
       {"hello\n", "{}\n", "\n", "{\"request\":\"set\"}\n"}) {
    const UniqueFd fd = Connect();
    received_.clear();
    Send(fd, line);
    EXPECT_THAT(NextAnswer(fd), StatusIs(absl::StatusCode::kInvalidArgument))
        << line;
    EXPECT_TRUE(HasEnded(fd));
  }
}

TEST_F(ControlSocketTest, ARequestWithoutEndEndsTheConnection) {
  const UniqueFd fd = Connect();
  Send(fd, std::string(balloon::kMaxRequestBytes + 1, ' '));
  EXPECT_THAT(NextAnswer(fd), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("more than 1024 bytes")));
  EXPECT_TRUE(HasEnded(fd));
}

TEST_F(ControlSocketTest, AnAnswerThatNobodyWouldTakeIsAnError) {
  const UniqueFd fd = Connect();
  handler_.metrics = std::string(balloon::kMaxAnswerBytes, 'x');
  EXPECT_THAT(Ask(fd, balloon::MetricsRequest()),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ControlSocketTest, TakesSoManyAndNoMoreUntilOneLeaves) {
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < balloon::kMaxClients; ++i) {
    clients.push_back(Connect());
    EXPECT_THAT(Ask(clients.back(), balloon::StatusRequest()), IsOk());
  }
  {
    const UniqueFd fd = Connect();
    EXPECT_THAT(NextAnswer(fd), StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_TRUE(HasEnded(fd));
  }
  clients.pop_back();
  received_.clear();
  EXPECT_TRUE(RunUntil(loop_.get(), [this] {
    received_.clear();
    const UniqueFd fd = Connect();
    return Ask(fd, balloon::StatusRequest()).ok();
  }));
}

TEST_F(ControlSocketTest, SurvivesThoseWhoLeaveInTheMiddle) {
  handler_.silos = balloon::kMaxVms;
  for (int i = 0; i < 50; ++i) {
    const UniqueFd fd = Connect();
    Send(fd, balloon::Encode(balloon::WatchRequest()));
    (void)loop_->RunOnce(absl::ZeroDuration());
    socket_->Publish();
  }
  socket_->Publish();
  received_.clear();
  EXPECT_TRUE(RunUntil(loop_.get(), [this] {
    received_.clear();
    const UniqueFd fd = Connect();
    return Ask(fd, balloon::StatusRequest()).ok();
  }));
}

TEST(MayAskTest, RootTheDaemonItselfAndItsOwner) {
  constexpr uid_t kOther = 1002;
  EXPECT_TRUE(MayAsk(0, 0, std::nullopt));
  EXPECT_TRUE(MayAsk(0, 1000, 1001));
  EXPECT_TRUE(MayAsk(1000, 1000, std::nullopt));
  EXPECT_TRUE(MayAsk(1001, 0, 1001));
  EXPECT_FALSE(MayAsk(kOther, 0, 1001));
  EXPECT_FALSE(MayAsk(kOther, 1000, std::nullopt));
  EXPECT_FALSE(MayAsk(static_cast<uid_t>(-1), 0, std::nullopt));
}

}  // namespace
}  // namespace vmsilo::balloond
