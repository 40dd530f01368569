#include "console-relay/log_file.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::console_relay {
namespace {

constexpr absl::string_view kStamp = "[1970-01-01T00:00:00.000Z] ";

absl::StatusOr<LogFile> OpenLog(const std::string& path) {
  absl::StatusOr<LogFile> log =
      LogFile::Create({.path = path, .has_timestamps = true});
  EXPECT_THAT(log, IsOk());
  EXPECT_THAT(log->OpenIfNeeded(), IsOk());
  return log;
}

// Files grow no larger than that; writing is cut short there.
void LimitFiles(rlim_t size) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = std::min(size, limit.rlim_max);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(LogFileTest, ManyLinesAreWrittenAtOnce) {
  const TempDir dir;
  absl::StatusOr<LogFile> log = OpenLog(dir.Path("log"));
  EXPECT_THAT(log->Write(std::string(1000, '\n'), absl::UnixEpoch()),
              IsOkAndHolds(1000u));
  std::string want;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&want, kStamp, "\n");
  EXPECT_THAT(ReadFile(dir.Path("log"), 1 << 20), IsOkAndHolds(want));
}

TEST(LogFileTest, AFloodOfLinesIsWrittenInPieces) {
  const TempDir dir;
  absl::StatusOr<LogFile> log = OpenLog(dir.Path("log"));
  const absl::StatusOr<size_t> written =
      log->Write(std::string(64 * 1024, '\n'), absl::UnixEpoch());
  ASSERT_THAT(written, IsOk());
  EXPECT_GT(*written, 2000u);
  EXPECT_EQ(log->size(), *written * (kStamp.size() + 1));
  EXPECT_LT(log->size(), 65u * 1024);
}

TEST(LogFileTest, AWriteThatIsCutShortAnywhereLosesAndDoublesNothing) {
  ASSERT_NE(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  // None of these is in a timestamp.
  const std::string bytes = "ab\n\ncde\nf";
  for (rlim_t cut = 1; cut < 5 * kStamp.size() + bytes.size(); ++cut) {
    const TempDir dir;
    absl::StatusOr<LogFile> log = OpenLog(dir.Path("log"));
    LimitFiles(cut);
    size_t done = 0;
    for (;;) {
      const absl::StatusOr<size_t> written =
          log->Write(absl::string_view(bytes).substr(done), absl::UnixEpoch());
      if (written.value_or(0) == 0) break;
      done += *written;
    }
    LimitFiles(RLIM_INFINITY);
    while (done < bytes.size()) {
      const absl::StatusOr<size_t> written =
          log->Write(absl::string_view(bytes).substr(done), absl::UnixEpoch());
      ASSERT_THAT(written, IsOk());
      done += *written;
    }
    std::string stored = *ReadFile(dir.Path("log"), 1 << 20);
    EXPECT_EQ(log->size(), stored.size());
    stored.erase(std::remove_if(stored.begin(), stored.end(),
                                [&bytes](char c) {
                                  return bytes.find(c) == std::string::npos;
                                }),
                 stored.end());
    EXPECT_EQ(stored, bytes) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace vmsilo::console_relay
