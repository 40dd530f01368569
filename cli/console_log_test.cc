#include "cli/console_log.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/sd_event_loop.h"
#include "common/socket.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"

namespace vmsilo::cli {
namespace {

class ConsoleLogTest : public ::testing::Test {
 protected:
  void Append(const std::string& name, absl::string_view bytes) {
    const absl::StatusOr<UniqueFd> file =
        vmsilo::Open(dir_.Path(name), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_THAT(file, IsOk());
    ASSERT_THAT(WriteAll(file->get(), bytes), IsOk());
  }

  void Rename(const std::string& from, const std::string& to) {
    ASSERT_EQ(rename(dir_.Path(from).c_str(), dir_.Path(to).c_str()), 0);
  }

  // All that there is now, in pieces of `size`.
  static std::string ReadOn(ConsoleLogFiles* files, size_t size = 4096) {
    std::string all;
    std::array<char, 4096> bytes;
    for (;;) {
      const absl::StatusOr<size_t> count = files->Read(bytes.data(), size);
      EXPECT_THAT(count, IsOk());
      if (!count.ok() || *count == 0) return all;
      all.append(bytes.data(), *count);
    }
  }

  ConsoleLogFiles OpenLog() {
    absl::StatusOr<ConsoleLogFiles> files = ConsoleLogFiles::Open(path_);
    EXPECT_THAT(files, IsOk());
    return *std::move(files);
  }

  TempDir dir_;
  const std::string path_ = dir_.Path("console.log");
};

TEST_F(ConsoleLogTest, OldestFirst) {
  Append("console.log.10", "one ");
  Append("console.log.2", "two ");
  Append("console.log.1", "three ");
  Append("console.log", "four");
  Append("console.log.x", "another's");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files, 3), "one two three four");
  EXPECT_FALSE(files.TakeGap());
}

TEST_F(ConsoleLogTest, NoLog) {
  EXPECT_THAT(ConsoleLogFiles::Open(path_),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ConsoleLogFiles::Open(dir_.Path("none/console.log")),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ConsoleLogTest, OnlyBackups) {
  Append("console.log.1", "old");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files), "old");
}

TEST_F(ConsoleLogTest, NothingButRegularFiles) {
  const std::string secret = dir_.Write("secret", "not the log");
  ASSERT_EQ(symlink(secret.c_str(), path_.c_str()), 0);
  EXPECT_FALSE(ConsoleLogFiles::Open(path_).ok());
  ASSERT_EQ(unlink(path_.c_str()), 0);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(ConsoleLogFiles::Open(path_).ok());
}

TEST_F(ConsoleLogTest, GoesOnWhereItWas) {
  Append("console.log", "one");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files), "one");
  EXPECT_EQ(ReadOn(&files), "");
  Append("console.log", "two");
  EXPECT_EQ(ReadOn(&files), "two");
}

TEST_F(ConsoleLogTest, RotationsLoseNothing) {
  Append("console.log", "one");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files), "one");
  Append("console.log", "two");
  Rename("console.log", "console.log.1");
  Append("console.log", "three");
  EXPECT_EQ(ReadOn(&files), "twothree");
  // Twice before somebody looks.
  Append("console.log", "four");
  Rename("console.log.1", "console.log.2");
  Rename("console.log", "console.log.1");
  Append("console.log", "five");
  Rename("console.log.2", "console.log.3");
  Rename("console.log.1", "console.log.2");
  Rename("console.log", "console.log.1");
  Append("console.log", "six");
  EXPECT_EQ(ReadOn(&files), "fourfivesix");
  EXPECT_FALSE(files.TakeGap());
}

TEST_F(ConsoleLogTest, AFileThatIsNotThereYetIsWaitedFor) {
  Append("console.log", "one");
  ConsoleLogFiles files = OpenLog();
  Rename("console.log", "console.log.1");
  EXPECT_EQ(ReadOn(&files), "one");
  Append("console.log", "two");
  EXPECT_EQ(ReadOn(&files), "two");
}

TEST_F(ConsoleLogTest, SaysWhatIsMissing) {
  Append("console.log", "one");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files), "one");
  ASSERT_EQ(unlink(path_.c_str()), 0);
  Append("console.log", "three");
  EXPECT_EQ(ReadOn(&files), "three");
  EXPECT_TRUE(files.TakeGap());
  EXPECT_FALSE(files.TakeGap());
}

TEST_F(ConsoleLogTest, ALogWithoutBackupsBeginsAnew) {
  Append("console.log", "a full file");
  ConsoleLogFiles files = OpenLog();
  EXPECT_EQ(ReadOn(&files), "a full file");
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  Append("console.log", "anew");
  EXPECT_EQ(ReadOn(&files), "anew");
  EXPECT_TRUE(files.TakeGap());
}

class ShowTest : public ConsoleLogTest {
 protected:
  // What a program that takes it all is shown.
  std::string Show(ConsoleLogOptions options) {
    options.path = path_;
    const std::string shown = dir_.Path("shown");
    const absl::StatusOr<UniqueFd> out =
        vmsilo::Open(shown, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_THAT(out, IsOk());
    EXPECT_THAT(ShowConsoleLog(options, Loop().get(), out->get()), IsOk());
    absl::StatusOr<std::string> text = ReadFile(shown, 1 << 20);
    EXPECT_THAT(text, IsOk());
    return *std::move(text);
  }

  static std::unique_ptr<SdEventLoop> Loop() {
    absl::StatusOr<std::unique_ptr<SdEventLoop>> loop = SdEventLoop::Create();
    EXPECT_THAT(loop, IsOk());
    return *std::move(loop);
  }
};

TEST_F(ShowTest, FiltersAcrossFilesUnlessTold) {
  Append("console.log.1", "[2026-11-23T10:00:00.000Z] one\r\n\x1b]0;ti");
  Append("console.log", "tle\atwo\x1b[6n\r\n");
  EXPECT_EQ(Show({}), "[2026-11-23T10:00:00.000Z] one\r\ntwo\r\n");
  EXPECT_EQ(Show({.filter = false}),
            "[2026-11-23T10:00:00.000Z] one\r\n\x1b]0;title\atwo\x1b[6n\r\n");
}

TEST_F(ShowTest, AllOfALongOne) {
  std::string bytes;
  while (bytes.size() < 300'000) absl::StrAppend(&bytes, bytes.size(), "\r\n");
  Append("console.log", bytes);
  EXPECT_EQ(Show({}), bytes);
}

TEST_F(ShowTest, LeavesATerminalAsItWas) {
  Append("console.log", "\x1b[31mlogin: ");
  int master = -1;
  int slave = -1;
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const UniqueFd terminal(master);
  const UniqueFd out(slave);
  EXPECT_THAT(ShowConsoleLog({.path = path_}, Loop().get(), out.get()), IsOk());
  char shown[256];
  const ssize_t size = read(terminal.get(), shown, sizeof(shown));
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(shown, size), "\x1b[31mlogin: \x1b[0m\r\n");
}

TEST_F(ShowTest, AReaderThatGoesIsNoFailure) {
  Append("console.log", std::string(300'000, 'x'));
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  const UniqueFd out(ends[1]);
  reader.Reset();
  signal(SIGPIPE, SIG_IGN);  // as Main() does
  EXPECT_THAT(ShowConsoleLog({.path = path_}, Loop().get(), out.get()), IsOk());
}

TEST_F(ShowTest, FollowsUntilASignalAndThroughARotation) {
  Append("console.log", "one ");
  const std::unique_ptr<SdEventLoop> loop = Loop();
  absl::StatusOr<SocketPair> sockets =
      MakeSocketPair(SOCK_STREAM, SOCK_NONBLOCK);
  ASSERT_THAT(sockets, IsOk());
  std::string shown;
  int step = 0;
  // The reader: what it has seen so far says what happens next.
  const absl::StatusOr<Source> reader =
      loop->AddIo(sockets->first.get(), EPOLLIN, [&](uint32_t) -> absl::Status {
        std::array<char, 256> bytes;
        const ssize_t size =
            read(sockets->first.get(), bytes.data(), bytes.size());
        if (size > 0) shown.append(bytes.data(), size);
        if (step == 0 && shown == "one ") {
          step = 1;
          Append("console.log", "two ");
        } else if (step == 1 && shown == "one two ") {
          step = 2;
          Rename("console.log", "console.log.1");
          Append("console.log", "three");
        } else if (step == 2 && shown == "one two three") {
          step = 3;
          raise(SIGTERM);
        }
        return absl::OkStatus();
      });
  ASSERT_THAT(reader, IsOk());
  // A test that hangs ends, and fails.
  const absl::StatusOr<Source> deadline = loop->AddTimer(
      absl::Seconds(20), [] { return absl::DeadlineExceededError("hangs"); });
  ASSERT_THAT(deadline, IsOk());
  const absl::Status status = ShowConsoleLog({.path = path_, .follow = true},
                                             loop.get(), sockets->second.get());
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(ExitCodeFor(status), 128 + SIGTERM);
  EXPECT_EQ(shown, "one two three");
}

}  // namespace
}  // namespace vmsilo::cli
