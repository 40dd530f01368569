#include "hypervisor/connection.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConnectionTest : public ::testing::TestWithParam<int> {
 protected:
  ConnectionTest()
      : loop_(*SdEventLoop::Create()),
        pair_(*MakeSocketPair(GetParam(), SOCK_NONBLOCK)),
        connection_(*Connection::Create(
            loop_.get(), std::move(pair_.first),
            [this](absl::StatusOr<absl::string_view> bytes) {
              received_.push_back(bytes.ok()
                                      ? absl::StatusOr<std::string>(*bytes)
                                      : bytes.status());
              if (drops_it_) connection_.reset();
            })) {}

  // One read of the other side; empty if there is nothing.
  std::string Read() {
    std::string buffer(1 << 20, '\0');
    const ssize_t n = recv(pair_.second.get(), buffer.data(), buffer.size(), 0);
    buffer.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return buffer;
  }

  void Write(absl::string_view bytes) {
    ASSERT_EQ(send(pair_.second.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }

  std::unique_ptr<SdEventLoop> loop_;
  SocketPair pair_;
  std::vector<absl::StatusOr<std::string>> received_;
  bool drops_it_ = false;
  std::unique_ptr<Connection> connection_;
};

TEST_P(ConnectionTest, SendsAtOnce) {
  connection_->Send("hello");
  EXPECT_EQ(Read(), "hello");
}

TEST_P(ConnectionTest, SendsTheRestWhenThereIsRoom) {
  const bool is_packet = GetParam() == SOCK_SEQPACKET;
  std::vector<std::string> sent;
  std::string all;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(absl::StrCat(i, std::string(10'000, 'x'), "."));
    all += sent.back();
    connection_->Send(sent.back());
  }
  std::vector<std::string> pieces;
  std::string joined;
  EXPECT_TRUE(RunUntil(loop_.get(), [&] {
    for (std::string piece = Read(); !piece.empty(); piece = Read()) {
      joined += piece;
      pieces.push_back(std::move(piece));
    }
    return joined.size() >= all.size();
  }));
  EXPECT_TRUE(joined == all);
  if (is_packet) {
    EXPECT_TRUE(pieces == sent);
  }
}

TEST_P(ConnectionTest, ReportsItsEndOnce) {
  Write("last words");
  pair_.second.Reset();
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return received_.size() == 2; }));
  EXPECT_THAT(received_,
              ElementsAre(IsOkAndHolds("last words"), IsOkAndHolds("")));
  ASSERT_THAT(loop_->RunOnce(absl::ZeroDuration()), IsOk());
  EXPECT_EQ(received_.size(), 2u);
  connection_->Send("to nobody");
}

TEST_P(ConnectionTest, MayBeDestroyedByItsHandler) {
  drops_it_ = true;
  Write("a");
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return connection_ == nullptr; }));
  EXPECT_THAT(received_, ElementsAre(IsOkAndHolds("a")));
}

TEST_P(ConnectionTest, ClosesDescriptorsThatCome) {
  int pipe_fds[2];
  ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  char text[] = "with a gift";
  iovec vector = {.iov_base = text, .iov_len = sizeof(text) - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  *reinterpret_cast<int*>(CMSG_DATA(header)) = write_end.get();
  ASSERT_GT(sendmsg(pair_.second.get(), &message, 0), 0);
  write_end.Reset();
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return received_.size() == 1; }));
  // Nobody can write to the pipe any more.
  char byte = 0;
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0);
}

INSTANTIATE_TEST_SUITE_P(All, ConnectionTest,
                         ::testing::Values(SOCK_STREAM, SOCK_SEQPACKET),
                         [](const auto& test) {
                           return test.param == SOCK_STREAM ? "Stream"
                                                            : "Packets";
                         });

using PacketConnectionTest = ConnectionTest;

TEST_P(PacketConnectionTest, TakesAPacketUpToItsLimit) {
  const std::string longest(kReceiveBytes, 'x');
  Write(longest);
  Write(longest + "y");
  EXPECT_TRUE(RunUntil(loop_.get(), [&] { return received_.size() == 2; }));
  EXPECT_THAT(received_[0], IsOkAndHolds(longest));
  EXPECT_THAT(received_[1], StatusIs(absl::StatusCode::kDataLoss,
                                     HasSubstr("more than 65536 bytes")));
}

INSTANTIATE_TEST_SUITE_P(All, PacketConnectionTest,
                         ::testing::Values(SOCK_SEQPACKET));

}  // namespace
}  // namespace vmsilo::hypervisor
