// vmsilo-console-relay against socat, doing the same job in one run: a guest's
// Unix socket and a terminal. Rounds alternate, so that whatever else the
// machine does meets both alike. Prints medians and ratios.
//
//   bazel run --config=release //console-relay:relay_bench -- [ROUNDS] [MB]

#include <fcntl.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/file.h"
#include "common/socket.h"
#include "common/testing/bench.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {
namespace {

using bench::Die;

constexpr int kRoundTrips = 20'000;
// Tries to reach a program that starts, a millisecond apart.
constexpr int kTries = 10'000;

struct Line {
  pid_t pid = 0;
  UniqueFd guest;
  UniqueFd terminal;
};

UniqueFd Reach(const std::string& what,
               absl::StatusOr<UniqueFd> (*reach)(const std::string& path)) {
  for (int i = 0; i < kTries; ++i) {
    absl::StatusOr<UniqueFd> fd = reach(what);
    if (fd.ok()) {
      if (fcntl(fd->get(), F_SETFL, 0) != 0) Die("fcntl");
      return *std::move(fd);
    }
    poll(nullptr, 0, 1);
  }
  Die(what);
}

Line Start(const std::vector<std::string>& argv, const TempDir& dir) {
  Line line;
  line.pid = bench::Spawn(argv);
  line.guest = Reach(dir.Path("backend"),
                     [](const std::string& path) { return ConnectUnix(path); });
  line.terminal = Reach(dir.Path("console"), [](const std::string& path) {
    return Open(path, O_RDWR | O_NOCTTY);
  });
  // From then on what the guest says goes to the terminal, not only into the
  // scrollback.
  bench::Produce(line.guest.get(), 1);
  bench::Consume(line.terminal.get(), 1);
  return line;
}

// Kilobytes of anonymous memory that are its own.
double AnonymousMemory(pid_t pid) {
  const absl::StatusOr<std::string> status =
      ReadFile(absl::StrCat("/proc/", pid, "/status"), 65536);
  if (!status.ok()) Die("read status");
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    double kilobytes = 0;
    if (absl::ConsumePrefix(&line, "RssAnon:") &&
        absl::ConsumeSuffix(&line, " kB") &&
        absl::SimpleAtod(line, &kilobytes)) {
      return kilobytes;
    }
  }
  Die("RssAnon");
}

std::vector<double> Measure(const std::vector<std::string>& argv,
                            const TempDir& dir, uint64_t bytes) {
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  std::vector<double> sample;
  for (const bool is_down : {true, false}) {
    const Line line = Start(argv, dir);
    const int from = is_down ? line.guest.get() : line.terminal.get();
    const int to = is_down ? line.terminal.get() : line.guest.get();
    const pid_t producer =
        bench::InChild([from, bytes] { bench::Produce(from, bytes); });
    const double seconds = bench::Consume(to, bytes);
    bench::Finish(producer);
    const double memory = AnonymousMemory(line.pid);
    kill(line.pid, SIGTERM);
    const double cpu = bench::Finish(line.pid, SIGTERM);
    sample.push_back(1e3 * gigabytes / seconds);
    sample.push_back(cpu / gigabytes);
    if (!is_down) sample.push_back(memory);
  }
  const Line line = Start(argv, dir);
  const pid_t echo = bench::InChild([&line] { bench::Echo(line.guest.get()); });
  const bench::Latency latency =
      bench::MeasureRoundTrips(line.terminal.get(), 1, kRoundTrips);
  kill(line.pid, SIGTERM);
  bench::Finish(line.pid, SIGTERM);
  kill(echo, SIGTERM);
  bench::Finish(echo, SIGTERM);
  sample.push_back(latency.p50_usec);
  sample.push_back(latency.p99_usec);
  return sample;
}

int Run(int rounds, uint64_t megabytes) {
  const TempDir dir;
  const std::string backend = dir.Path("backend");
  const std::string console = dir.Path("console");
  const std::vector<std::vector<std::string>> commands = {
      // In the runfiles, which `bazel run` makes the working directory.
      {"console-relay/vmsilo-console-relay", "--backend", backend, "--pty",
       console, "--viewers", dir.Path("viewers")},
      {"socat", absl::StrCat("UNIX-LISTEN:", backend),
       absl::StrCat("PTY,rawer,link=", console)},
  };
  std::vector<bench::Contestant> contestants = {{"vmsilo-console-relay", {}},
                                                {"socat", {}}};
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < commands.size(); ++i) {
      contestants[i].samples.push_back(
          Measure(commands[i], dir, megabytes * 1'000'000));
    }
  }
  bench::PrintMedians({"down MB/s", "down CPU s/GB", "up MB/s", "up CPU s/GB",
                       "RssAnon KiB", "p50 us", "p99 us"},
                      contestants);
  return 0;
}

}  // namespace
}  // namespace vmsilo::console_relay

int main(int argc, char** argv) {
  int rounds = 7;
  uint64_t megabytes = 200;
  if ((argc > 1 && !absl::SimpleAtoi(argv[1], &rounds)) ||
      (argc > 2 && !absl::SimpleAtoi(argv[2], &megabytes)) || rounds < 1) {
    fprintf(stderr, "usage: relay_bench [ROUNDS] [MEGABYTES]\n");
    return 64;
  }
  return vmsilo::console_relay::Run(rounds, megabytes);
}
