#include "balloond/daemon.h"

#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "balloon/message.h"
#include "balloon/vm_file.h"
#include "balloond/controller.h"
#include "balloond/fleet.h"
#include "balloond/host.h"
#include "balloond/testing/fake_controller.h"
#include "balloond/testing/fake_guest.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/epoll_event_loop.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kMiB = int64_t{1} << 20;

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    SetHost(4096, "some avg10=0.00 total=0\n");
    absl::StatusOr<std::unique_ptr<EpollEventLoop>> loop =
        EpollEventLoop::Create();
    ASSERT_THAT(loop, IsOk());
    loop_ = *std::move(loop);
  }

  void SetHost(int available_mib, absl::string_view pressure) {
    proc_.Write(
        "meminfo",
        absl::StrCat("MemTotal: ", 8192 * 1024, " kB\nMemFree: ", 1024 * 1024,
                     " kB\nMemAvailable: ", available_mib * 1024, " kB\n"));
    proc_.Write("pressure/memory", pressure);
  }

  void Start(Daemon::Options options) {
    options.policy = "level";
    auto controller = std::make_unique<FakeController>();
    controller_ = controller.get();
    controller_->set_interval(absl::Milliseconds(50));
    absl::StatusOr<Host> host = Host::Open(proc_.path());
    ASSERT_THAT(host, IsOk());
    absl::StatusOr<UniqueFd> listener = ListenUnix(socket_, 0600);
    ASSERT_THAT(listener, IsOk());
    daemon_ = std::make_unique<Daemon>(
        loop_.get(), &clock_, std::move(options),
        Daemon::Resources{
            .controller = std::move(controller),
            .host = *std::move(host),
            .listener = *std::move(listener),
            .run_dir = run_.path(),
            .wishes = run_.Path("wishes.json"),
            .roots = {.proc = proc_.path(), .cgroup = proc_.path()},
            .make_client = [this](const Found& found,
                                  const std::optional<std::string>&,
                                  std::function<void(pid_t)> on_peer) {
              auto guest = std::make_unique<FakeGuest>(loop_.get(), GiB(4));
              std::unique_ptr<hypervisor::BalloonClient> client =
                  guest->MakeClient();
              guests_[found.name] = std::move(guest);
              on_peer_[found.name] = std::move(on_peer);
              return client;
            }});
    ASSERT_THAT(daemon_->Start(), IsOk());
  }

  FakeGuest& Add(const std::string& name) {
    daemon_->fleet().OnSocket({.name = name,
                               .hypervisor = config::Hypervisor::kQemu,
                               .socket = "socket"});
    return *guests_[name];
  }

  absl::StatusOr<balloon::Answer> Ask(const balloon::Request& request) {
    absl::StatusOr<UniqueFd> fd = ConnectUnix(socket_);
    if (!fd.ok()) return fd.status();
    const absl::Status written = WriteAll(fd->get(), balloon::Encode(request));
    if (!written.ok()) return written;
    std::string text;
    EXPECT_TRUE(RunUntil(loop_.get(), [&] {
      char buffer[4096];
      const ssize_t size = read(fd->get(), buffer, sizeof(buffer));
      if (size > 0) text.append(buffer, static_cast<size_t>(size));
      return text.find('\n') != std::string::npos;
    }));
    return balloon::DecodeAnswer(text.substr(0, text.find('\n')));
  }

  balloon::Status Status() {
    const absl::StatusOr<balloon::Answer> answer =
        Ask(balloon::StatusRequest());
    EXPECT_THAT(answer, IsOk());
    const auto* status =
        answer.ok() ? std::get_if<balloon::Status>(&*answer) : nullptr;
    return status == nullptr ? balloon::Status() : *status;
  }

  void AfterRounds(int count) {
    const int end = controller_->rounds() + count;
    EXPECT_TRUE(
        RunUntil(loop_.get(), [&] { return controller_->rounds() >= end; }));
  }

  TempDir proc_;
  TempDir run_;
  const std::string socket_ = run_.Path("control.socket");
  const MonotonicClock clock_;
  std::unique_ptr<EpollEventLoop> loop_;
  FakeController* controller_ = nullptr;
  std::map<std::string, std::unique_ptr<FakeGuest>> guests_;
  std::map<std::string, std::function<void(pid_t)>> on_peer_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(DaemonTest, SaysHowEverythingIs) {
  Start({.critical_host_percent = 25});
  run_.Write("work/balloon.json",
             balloon::PrintVmFile({.hypervisor = "qemu",
                                   .unit = "u.service",
                                   .memory = GiB(4),
                                   .guaranteed = MiB(256)}));
  FakeGuest& guest = Add("work");
  guest.ChangeBalloon(MiB(1024));
  guest.set_statistics({.free = MiB(100),
                        .available = MiB(200),
                        .caches = MiB(150),
                        .oom_kills = 2});
  proc_.Write("7/cgroup", "0::/u.service\n");
  proc_.Write("u.service/memory.stat",
              absl::StrCat("anon ", 2048 * kMiB, "\nshmem 0\n"));
  on_peer_["work"](7);
  Add("net").set_error(absl::UnavailableError("no\ndriver"));
  AfterRounds(2);

  const balloon::Status status = Status();
  EXPECT_EQ(status.policy, "level");
  EXPECT_FALSE(status.is_dry_run);
  EXPECT_GE(status.rounds, 2);
  EXPECT_GE(status.queries, 4);
  EXPECT_EQ(status.host.total, 8192 * kMiB);
  EXPECT_EQ(status.host.available, 4096 * kMiB);
  EXPECT_EQ(status.host.critical, 2048 * kMiB);
  EXPECT_EQ(status.host.exposure, (4096 - 1024 - 2048) * kMiB);
  ASSERT_EQ(status.vms.size(), 2);
  const balloon::Status::Vm& net = status.vms[0];
  EXPECT_EQ(net.name, "net");
  EXPECT_EQ(net.error, "no\\ndriver");
  EXPECT_EQ(net.balloon, std::nullopt);
  const balloon::Status::Vm& work = status.vms[1];
  EXPECT_EQ(work.name, "work");
  EXPECT_EQ(work.hypervisor, "qemu");
  EXPECT_EQ(work.guaranteed, 256 * kMiB);
  EXPECT_EQ(work.balloon, 1024 * kMiB);
  EXPECT_EQ(work.free, 100 * kMiB);
  EXPECT_EQ(work.caches, 150 * kMiB);
  EXPECT_EQ(work.available, 200 * kMiB);
  EXPECT_EQ(work.oom_kills, 2);
  EXPECT_EQ(work.resident, 2048 * kMiB);
  EXPECT_EQ(work.error, "");
}

TEST_F(DaemonTest, TakesAPersonsWish) {
  Start({});
  Add("work");
  EXPECT_THAT(Ask(balloon::SetRequest{.vm = "work", .balloon = 100 * kMiB}),
              IsOk());
  EXPECT_EQ(controller_->vm(1).traits.fixed_balloon, 100 * kMiB);
  EXPECT_EQ(Status().vms.at(0).fixed, 100 * kMiB);
  EXPECT_THAT(Ask(balloon::SetRequest{.vm = "wrok", .balloon = 1}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DaemonTest, CountsWhatItDoes) {
  Start({});
  Add("work");
  controller_->set_decision(
      {{.vm = 1, .balloon = 5 * kMiB, .reason = Reason::kStalled}});
  AfterRounds(1);
  const absl::StatusOr<balloon::Answer> answer = Ask(balloon::MetricsRequest());
  ASSERT_THAT(answer, IsOk());
  EXPECT_THAT(
      std::get<balloon::Metrics>(*answer).text,
      AllOf(HasSubstr("vmsilo_balloond_resizes_total{reason=\"stalled\"} 1\n"),
            HasSubstr("vmsilo_guest_managed{silo=\"work\"}"),
            HasSubstr("# EOF\n")));
}

TEST_F(DaemonTest, WritesMetricsToAFile) {
  Start({.metrics_file = run_.Path("vmsilo.prom")});
  AfterRounds(1);
  EXPECT_THAT(ReadFile(run_.Path("vmsilo.prom"), 1 << 20),
              IsOkAndHolds(HasSubstr("vmsilo_balloond_rounds_total 1\n")));
}

TEST_F(DaemonTest, LivesWithoutAPlaceForMetrics) {
  Start({.metrics_file = run_.Path("absent/vmsilo.prom")});
  AfterRounds(2);
}

TEST_F(DaemonTest, EndsAfterTwoLooksAtEachGuestIfThatIsAll) {
  Start({.is_once = true});
  Add("work");
  EXPECT_THAT(loop_->Run(), IsOk());
  EXPECT_EQ(controller_->rounds(), 2);
}

TEST_F(DaemonTest, EndsAtOnceIfThereIsNobodyToLookAt) {
  Start({.is_once = true});
  EXPECT_THAT(loop_->Run(), IsOk());
  EXPECT_EQ(controller_->rounds(), 1);
}

TEST_F(DaemonTest, ADryRunSendsNothing) {
  Start({.is_dry_run = true});
  FakeGuest& guest = Add("work");
  controller_->set_decision(
      {{.vm = 1, .balloon = 5 * kMiB, .reason = Reason::kShared}});
  AfterRounds(2);
  EXPECT_TRUE(guest.asked().empty());
  EXPECT_TRUE(Status().is_dry_run);
}

TEST_F(DaemonTest, ForgetsASiloThatHasGone) {
  Start({});
  Add("work");
  AfterRounds(1);
  daemon_->fleet().OnSocketGone("work", "socket");
  EXPECT_TRUE(Status().vms.empty());
  AfterRounds(1);
}

}  // namespace
}  // namespace vmsilo::balloond
