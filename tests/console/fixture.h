#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/socket.h"
#include "common/testing/process.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "console/message.h"
#include "console/testing/viewer.h"
#include "gtest/gtest.h"

namespace vmsilo {

// A silo's console with the relay as it is shipped; the hypervisor is the
// test's.
class ConsoleTest : public ::testing::Test {
 protected:
  void SetUp() override { StartRelay(); }

  // A new one, when there was one.
  void StartRelay(const std::vector<std::string>& options = {}) {
    relay_.reset();
    std::vector<std::string> argv = {
        Runfile("console-relay/vmsilo-console-relay"),
        "--backend",
        dir_.Path("backend"),
        "--pty",
        dir_.Path("console"),
        "--viewers",
        dir_.Path("viewers"),
        "--log-level",
        "debug"};
    argv.insert(argv.end(), options.begin(), options.end());
    relay_ = std::make_unique<ChildProcess>(
        ChildProcess::Start({.argv = std::move(argv)}));
    relay_->ReadStderrUntil("ready");
  }

  std::vector<std::string> Client(std::vector<std::string> options = {}) {
    std::vector<std::string> argv = {Runfile("cli/vmsilo"), "console",
                                     "--socket", dir_.Path("viewers")};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back("work");
    return argv;
  }

  UniqueFd ConnectGuest() {
    absl::StatusOr<UniqueFd> guest = ConnectUnix(dir_.Path("backend"));
    EXPECT_THAT(guest, IsOk());
    relay_->ReadStderrUntil("the virtual machine is connected");
    return *std::move(guest);
  }

  // What the relay says, asked again and again until it is so.
  void AwaitStatus(const std::function<bool(const console::Status&)>& is_so,
                   absl::string_view what) {
    const UniqueFd relay = console::ConnectViewer(dir_.Path("viewers"));
    constexpr int kMaxAnswers = 1'000'000;
    for (int i = 0; i < kMaxAnswers; ++i) {
      if (is_so(console::AskStatus(relay))) return;
    }
    FAIL() << "the console still does not have " << what;
  }

  void AwaitSize(const console::WindowSize& size) {
    AwaitStatus(
        [&size](const console::Status& status) {
          return status.window_size == size;
        },
        absl::StrCat(size.rows, " rows and ", size.columns, " columns"));
  }

  void AwaitNoWriter() {
    AwaitStatus(
        [](const console::Status& status) { return !status.has_writer; },
        "room for somebody who types");
  }

  TempDir dir_;
  std::unique_ptr<ChildProcess> relay_;
};

}  // namespace vmsilo
