// The configuration takes for a console what the relay takes, and no more.

#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/bytes.h"
#include "common/parse_size.h"
#include "common/testing/process.h"
#include "common/testing/temp_dir.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;

class LimitsTest : public ::testing::Test {
 protected:
  ChildProcess StartRelay(const config::Console& console) {
    return ChildProcess::Start(
        {.argv = {Runfile("console-relay/vmsilo-console-relay"), "--backend",
                  dir_.Path("backend"), "--pty", dir_.Path("console"),
                  "--scrollback", FormatSize(console.scrollback), "--log",
                  dir_.Path("log"), "--log-size",
                  FormatSize(console.log->max_size), "--log-files",
                  absl::StrCat(console.log->max_backups), "--log-level",
                  "debug"}});
  }

  TempDir dir_;
};

TEST_F(LimitsTest, TheRelayTakesWhatTheConfigurationTakes) {
  for (const config::Console& console : std::vector<config::Console>{
           {.scrollback = config::kMinConsoleScrollback,
            .log = config::ConsoleLog{.max_size = config::kMinConsoleLogSize,
                   .max_backups = 0}},
           {.scrollback = config::kMaxConsoleScrollback,
           .log = config::ConsoleLog{.max_size = config::kMaxConsoleLogSize,
                  .max_backups = config::kMaxConsoleLogBackups}}}) {
    ChildProcess relay = StartRelay(console);
    relay.ReadStderrUntil("ready");
    relay.Signal(SIGTERM);
    EXPECT_EQ(relay.Wait().exit_code, 0);
  }
}

TEST_F(LimitsTest, WhatTheConfigurationRefusesTheRelayWouldRefuse) {
  struct Case {
    const char* option;
    config::Console console;
  };
  for (const Case& refused : std::vector<Case>{
           {"--scrollback",
            {.scrollback = Bytes(config::kMinConsoleScrollback.count() - 1),
            .log = config::ConsoleLog()}},
           {"--scrollback",
            {.scrollback = Bytes(config::kMaxConsoleScrollback.count() + 1),
            .log = config::ConsoleLog()}},
           {"--log-size",
            {.log = config::ConsoleLog{.max_size = Bytes(
                                           config::kMinConsoleLogSize.count() -
                                           1)}}},
           {"--log-files",
            {.log = config::ConsoleLog{
                 .max_backups = config::kMaxConsoleLogBackups + 1}}}}) {
    const ChildProcess::Result result = StartRelay(refused.console).Wait();
    EXPECT_EQ(result.exit_code, 64) << refused.option;
    EXPECT_THAT(result.err, HasSubstr(refused.option));
  }
}

}  // namespace
}  // namespace vmsilo
