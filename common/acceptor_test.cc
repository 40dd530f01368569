#include "common/acceptor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/epoll_event_loop.h"
#include "common/event_loop.h"
#include "common/file.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Counts what the descriptors that it watches have said.
class CountingLoop : public EventLoop {
 public:
  explicit CountingLoop(std::unique_ptr<EventLoop> loop)
      : loop_(std::move(loop)) {}

  int io_calls() const { return io_calls_; }

  absl::StatusOr<Source> AddIo(int fd, uint32_t events,
                               IoHandler handler) override {
    return loop_->AddIo(fd, events,
                        [this, handler = std::move(handler)](uint32_t seen) {
                          ++io_calls_;
                          return handler(seen);
                        });
  }
  absl::StatusOr<Source> AddTimer(absl::Duration after,
                                  Handler handler) override {
    return loop_->AddTimer(after, std::move(handler));
  }
  absl::StatusOr<Source> AddSignal(int signo, Handler handler) override {
    return loop_->AddSignal(signo, std::move(handler));
  }
  absl::Status RunOnce(absl::Duration timeout) override {
    return loop_->RunOnce(timeout);
  }

 private:
  std::unique_ptr<EventLoop> loop_;
  int io_calls_ = 0;
};

// While it exists, this process gets no descriptor more.
class Shortage {
 public:
  Shortage() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~Shortage() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_ = {};
};

// The programs use both event loops.
template <typename Loop>
class AcceptorTest : public ::testing::Test {
 protected:
  AcceptorTest() {
    auto loop = Loop::Create();
    EXPECT_THAT(loop, IsOk());
    loop_ = std::make_unique<CountingLoop>(*std::move(loop));
    absl::StatusOr<UniqueFd> listener = ListenUnix(dir_.Path("socket"), 0600);
    EXPECT_THAT(listener, IsOk());
    acceptor_ = std::make_unique<Acceptor>(loop_.get(), *std::move(listener),
                                           "a friend", [this](UniqueFd fd) {
                                             taken_.push_back(std::move(fd));
                                             return result_;
                                           });
  }

  UniqueFd Connect() {
    absl::StatusOr<UniqueFd> fd = ConnectUnix(dir_.Path("socket"));
    EXPECT_THAT(fd, IsOk());
    return *std::move(fd);
  }

  // All that is due now.
  void RunAWhile() {
    for (int i = 0; i < 1000; ++i) {
      ASSERT_THAT(loop_->RunOnce(absl::ZeroDuration()), IsOk());
    }
  }

  // What has been logged since StartToListenIn().
  void StartToListenIn() {
    stderr_ = UniqueFd(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    const UniqueFd log(open(dir_.Path("log").c_str(),
                            O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_EQ(dup2(log.get(), STDERR_FILENO), STDERR_FILENO);
  }
  std::string Logged() {
    EXPECT_EQ(dup2(stderr_.get(), STDERR_FILENO), STDERR_FILENO);
    absl::StatusOr<std::string> logged = ReadFile(dir_.Path("log"), 1 << 20);
    EXPECT_THAT(logged, IsOk());
    return *std::move(logged);
  }

  TempDir dir_;
  UniqueFd stderr_;
  absl::Status result_;
  std::vector<UniqueFd> taken_;
  std::unique_ptr<CountingLoop> loop_;
  std::unique_ptr<Acceptor> acceptor_;
};

using Loops = ::testing::Types<SdEventLoop, EpollEventLoop>;
TYPED_TEST_SUITE(AcceptorTest, Loops);

TYPED_TEST(AcceptorTest, TakesEveryConnectionThatCannotBeInherited) {
  ASSERT_THAT(this->acceptor_->Start(), IsOk());
  const UniqueFd first = this->Connect();
  const UniqueFd second = this->Connect();
  ASSERT_TRUE(
      RunUntil(this->loop_.get(), [this] { return this->taken_.size() == 2; }));
  for (const UniqueFd& fd : this->taken_) {
    EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_NE(fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  }
}

TYPED_TEST(AcceptorTest, AnErrorOfWhoGetsTheConnectionEndsTheLoop) {
  ASSERT_THAT(this->acceptor_->Start(), IsOk());
  this->result_ = absl::DataLossError("broken");
  const UniqueFd client = this->Connect();
  EXPECT_THAT(this->loop_->Run(),
              StatusIs(absl::StatusCode::kDataLoss, Eq("broken")));
}

TYPED_TEST(AcceptorTest, TakesNobodyWhilePaused) {
  ASSERT_THAT(this->acceptor_->Start(), IsOk());
  ASSERT_THAT(this->acceptor_->Pause(), IsOk());
  const UniqueFd client = this->Connect();
  // Longer than any delay of its own.
  bool is_over = false;
  const auto timer =
      this->loop_->AddTimer(absl::Milliseconds(1200), [&is_over] {
        is_over = true;
        return absl::OkStatus();
      });
  ASSERT_THAT(timer, IsOk());
  ASSERT_TRUE(RunUntil(this->loop_.get(), [&is_over] { return is_over; }));
  EXPECT_THAT(this->taken_, IsEmpty());
  ASSERT_THAT(this->acceptor_->Resume(), IsOk());
  EXPECT_TRUE(
      RunUntil(this->loop_.get(), [this] { return this->taken_.size() == 1; }));
}

TYPED_TEST(AcceptorTest, WhoComesInAShortageIsTakenAfterItAndCostsLittle) {
  ASSERT_THAT(this->acceptor_->Start(), IsOk());
  const UniqueFd client = this->Connect();
  {
    const Shortage shortage;
    ASSERT_TRUE(RunUntil(this->loop_.get(),
                         [this] { return this->loop_->io_calls() == 1; }));
    this->RunAWhile();
    // Once more for each second that this took, and not again and again.
    EXPECT_LT(this->loop_->io_calls(), 100);
  }
  EXPECT_TRUE(
      RunUntil(this->loop_.get(), [this] { return this->taken_.size() == 1; }));
}

TYPED_TEST(AcceptorTest, AShortageIsSaidOnceUntilSomebodyIsTaken) {
  ASSERT_THAT(this->acceptor_->Start(), IsOk());
  std::vector<UniqueFd> clients;
  this->StartToListenIn();
  for (size_t shortage = 1; shortage <= 2; ++shortage) {
    clients.push_back(this->Connect());
    {
      const Shortage now;
      const int before = this->loop_->io_calls();
      ASSERT_TRUE(RunUntil(this->loop_.get(), [this, before] {
        return this->loop_->io_calls() == before + 2;
      }));
    }
    ASSERT_TRUE(RunUntil(this->loop_.get(), [this, shortage] {
      return this->taken_.size() == shortage;
    }));
  }
  const std::string line =
      "cannot take a friend: accept a connection: Too many open files, trying "
      "again every second\n";
  const std::string logged = this->Logged();
  EXPECT_THAT(logged, HasSubstr(line));
  const std::vector<std::string> lines = absl::StrSplit(logged, '\n');
  EXPECT_THAT(lines, SizeIs(3)) << logged;
}

}  // namespace
}  // namespace vmsilo
