// The balloon's client against a real QEMU: with a guest, whose kernel has the
// driver, and without one.

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/run_until.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hypervisor/client.h"
#include "hypervisor/make_client.h"

namespace vmsilo {
namespace {

using absl::StatusCode;
using hypervisor::BalloonClient;
using hypervisor::BalloonSample;
using hypervisor::GuestMemory;

constexpr char kQemu[] = "/usr/bin/qemu-system-x86_64";
constexpr absl::Duration kLong = absl::Seconds(20);
// A guest boots within ten seconds, on a machine that does nothing else.
constexpr absl::Duration kBoot = absl::Seconds(120);

class BalloonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(access(kQemu, X_OK), 0)
        << "this test needs QEMU: apt-get install qemu-system-x86";
  }

  void TearDown() override {
    if (!HasFailure()) return;
    std::cerr << "The guest's console:\n"
              << ReadFile(console_, 1 << 20).value_or("(none)\n");
  }

  void Start(std::vector<std::string> more) {
    std::vector<std::string> argv = {
        kQemu,
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-m",
        "256",
        "-qmp",
        absl::StrCat("unix:", path_, ",server=on,wait=off"),
        "-qmp",
        absl::StrCat("unix:", other_path_, ",server=on,wait=off"),
    };
    argv.insert(argv.end(), more.begin(), more.end());
    qemu_.emplace(ChildProcess::Start({.argv = std::move(argv)}));
    client_ = hypervisor::MakeBalloonClient(loop_.get(), &clock_,
                                            config::Hypervisor::kQemu, path_);
    client_->OnChange([this](Bytes size) { told_ = size; });
    ASSERT_TRUE(RunUntil([this] { return access(path_.c_str(), F_OK) == 0; }));
    ASSERT_TRUE(RunUntil([this] { return ConnectUnix(path_).ok(); }));
  }

  void StartGuest() {
    Start({"-device", "virtio-balloon-pci,id=balloon0,deflate-on-oom=on",
           "-kernel", Runfile("tests/guest/guest_vmlinuz"), "-initrd",
           Runfile("tests/guest/guest.cpio"), "-append", "console=ttyS0 quiet",
           "-serial", absl::StrCat("file:", console_)});
    ASSERT_TRUE(RunUntil([this] { return Query().ok(); }));
  }

  absl::StatusOr<BalloonSample> Query(absl::Duration deadline = kLong) {
    std::optional<absl::StatusOr<BalloonSample>> result;
    client_->Query(deadline, [&](absl::StatusOr<BalloonSample> sample) {
      result = std::move(sample);
    });
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
    if (!result) return absl::UnknownError("no result");
    return *std::move(result);
  }

  absl::Status SetSize(Bytes size) {
    std::optional<absl::Status> result;
    client_->SetSize(size, kLong,
                     [&](absl::Status status) { result = std::move(status); });
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
    return result.value_or(absl::UnknownError("no result"));
  }

  // Over the other monitor; waits for the answer.
  void Tell(absl::string_view command) {
    const absl::StatusOr<UniqueFd> monitor = ConnectUnix(other_path_);
    ASSERT_THAT(monitor, IsOk());
    const std::string request =
        absl::StrCat("{\"execute\":\"qmp_capabilities\"}{\"execute\":\"",
                     command, "\",\"id\":\"told\"}");
    ASSERT_EQ(send(monitor->get(), request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    std::string heard;
    ASSERT_TRUE(RunUntil([&] {
      char buffer[4096];
      const ssize_t n = recv(monitor->get(), buffer, sizeof(buffer), 0);
      if (n > 0) heard.append(buffer, static_cast<size_t>(n));
      return absl::StrContains(heard, "\"told\"");
    }));
  }

  bool RunUntil(const std::function<bool()>& predicate) {
    return vmsilo::RunUntil(loop_.get(), predicate, kBoot);
  }

  TempDir dir_;
  const std::string path_ = dir_.Path("qemu-balloon.socket");
  const std::string other_path_ = dir_.Path("other.socket");
  const std::string console_ = dir_.Path("console");
  const std::unique_ptr<SdEventLoop> loop_ = *SdEventLoop::Create();
  const MonotonicClock clock_;
  std::optional<ChildProcess> qemu_;
  std::optional<Bytes> told_;
  std::unique_ptr<BalloonClient> client_;
};

TEST_F(BalloonTest, AGuestFollows) {
  StartGuest();
  const absl::StatusOr<BalloonSample> before = Query();
  ASSERT_THAT(before, IsOk());
  EXPECT_EQ(before->size, Bytes());
  EXPECT_EQ(before->memory, MiB(256));
  ASSERT_TRUE(before->guest.has_value());
  const GuestMemory& guest = *before->guest;
  ASSERT_TRUE(guest.free && guest.available && guest.caches && guest.total);
  // The kernel keeps some for itself.
  EXPECT_LT(*guest.total, MiB(256));
  EXPECT_GT(*guest.total, MiB(128));
  EXPECT_LT(*guest.free, *guest.total);

  EXPECT_THAT(SetSize(Bytes(MiB(65).count() - 1)), IsOk());
  EXPECT_TRUE(RunUntil([this] { return told_ == MiB(64); }));
  const absl::StatusOr<BalloonSample> inflated = Query();
  ASSERT_THAT(inflated, IsOk());
  EXPECT_EQ(inflated->size, MiB(64));
  // The statistics are of now.
  ASSERT_TRUE(inflated->guest.has_value() && inflated->guest->free);
  EXPECT_LT(*inflated->guest->free,
            Bytes(guest.free->count() - MiB(32).count()));

  EXPECT_THAT(SetSize(Bytes()), IsOk());
  EXPECT_TRUE(RunUntil([this] { return told_ == Bytes(); }));
  const absl::StatusOr<BalloonSample> after = Query();
  ASSERT_THAT(after, IsOk());
  EXPECT_EQ(after->size, Bytes());
  EXPECT_GT(*after->guest->free, *inflated->guest->free);
}

TEST_F(BalloonTest, AGuestThatIsStopped) {
  StartGuest();
  ASSERT_THAT(Query(), IsOk());
  Tell("stop");
  // The first may yet be the last answer, which it then says.
  ASSERT_TRUE(RunUntil([this] {
    const absl::StatusOr<BalloonSample> sample = Query(absl::Milliseconds(200));
    if (sample.ok()) {
      EXPECT_GE(sample->age, absl::Milliseconds(30));
    }
    return absl::IsDeadlineExceeded(sample.status());
  }));
  EXPECT_THAT(SetSize(MiB(32)), IsOk());
  Tell("cont");
  EXPECT_THAT(Query(), IsOk());
  EXPECT_TRUE(RunUntil([this] { return told_ == MiB(32); }));
}

TEST_F(BalloonTest, AQemuThatIsStopped) {
  StartGuest();
  qemu_->Signal(SIGSTOP);
  EXPECT_THAT(Query(absl::Milliseconds(200)),
              StatusIs(StatusCode::kDeadlineExceeded));
  qemu_->Signal(SIGCONT);
  EXPECT_THAT(Query(), IsOk());
}

TEST_F(BalloonTest, NoGuestNoDriver) {
  Start({"-device", "virtio-balloon-pci,id=balloon0"});
  EXPECT_THAT(Query(), StatusIs(StatusCode::kUnavailable));
  // A driver that comes later will see to it.
  EXPECT_THAT(SetSize(MiB(32)), IsOk());
}

TEST_F(BalloonTest, NoBalloon) {
  Start({});
  EXPECT_THAT(Query(), StatusIs(StatusCode::kUnimplemented));
  EXPECT_THAT(SetSize(MiB(32)), StatusIs(StatusCode::kUnimplemented));
}

TEST_F(BalloonTest, ABalloonOfAnotherName) {
  Start({"-device", "virtio-balloon-pci,id=b"});
  const absl::StatusOr<BalloonSample> sample = Query();
  ASSERT_THAT(sample, IsOk());
  EXPECT_EQ(sample->size, Bytes());
  EXPECT_EQ(sample->memory, MiB(256));
  EXPECT_EQ(sample->guest, std::nullopt);
}

TEST_F(BalloonTest, TheEndOfQemu) {
  Start({"-device", "virtio-balloon-pci,id=balloon0"});
  EXPECT_THAT(SetSize(MiB(32)), IsOk());
  qemu_->Signal(SIGKILL);
  qemu_->Wait();
  EXPECT_THAT(Query(), StatusIs(StatusCode::kUnavailable));
}

}  // namespace
}  // namespace vmsilo
