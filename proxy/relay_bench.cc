// vmsilo-proxy against socat, doing the same job in one run: a client's socket
// on standard input and output, relayed to a Unix socket. Rounds alternate, so
// that whatever else the machine does meets both alike. Prints medians and
// ratios.
//
//   bazel run -c opt //proxy:relay_bench -- [ROUNDS] [MEGABYTES]

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/socket.h"
#include "common/testing/bench.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"

namespace vmsilo::proxy {
namespace {

using bench::Die;

constexpr int kRoundTrips = 20'000;
constexpr size_t kMessageBytes = 64;

// A relay between a socket of ours and a "guest" that we accept.
struct Relay {
  pid_t pid = 0;
  UniqueFd client;
  UniqueFd guest;
};

Relay StartRelay(const std::vector<std::string>& argv, int listener,
                 bool has_handshake) {
  auto pair = MakeSocketPair(SOCK_STREAM, 0);
  if (!pair.ok()) Die("socketpair");
  Relay relay;
  relay.pid = bench::Spawn(argv, {pair->second.get(), pair->second.get()});
  relay.client = std::move(pair->first);
  pollfd entry = {.fd = listener, .events = POLLIN};
  if (poll(&entry, 1, 10'000) != 1) Die("wait for the relay");
  relay.guest = UniqueFd(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (has_handshake) {
    char byte = 0;
    while (byte != '\n' && read(relay.guest.get(), &byte, 1) == 1) {
    }
    constexpr absl::string_view kOk("OK 1\n");
    if (write(relay.guest.get(), kOk.data(), kOk.size()) != 5) Die("write");
  }
  return relay;
}

double Finish(Relay relay) {
  relay.client.Reset();
  relay.guest.Reset();
  return bench::Finish(relay.pid);
}

std::vector<double> Measure(const std::vector<std::string>& argv, int listener,
                            bool has_handshake, uint64_t bytes) {
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  const absl::Time start = absl::Now();
  Relay bulk = StartRelay(argv, listener, has_handshake);
  const double start_msec = absl::ToDoubleMilliseconds(absl::Now() - start);
  const pid_t producer = bench::InChild([&bulk, bytes] {
    // The child's copy would keep the connection open.
    bulk.client.Reset();
    bench::Produce(bulk.guest.get(), bytes);
  });
  const double seconds = bench::Consume(bulk.client.get(), bytes);
  bench::Finish(producer);
  const double cpu = Finish(std::move(bulk));

  Relay trips = StartRelay(argv, listener, has_handshake);
  const pid_t echo = bench::InChild([&trips] {
    trips.client.Reset();
    bench::Echo(trips.guest.get());
  });
  trips.guest.Reset();
  const bench::Latency latency =
      bench::MeasureRoundTrips(trips.client.get(), kMessageBytes, kRoundTrips);
  (void)Finish(std::move(trips));
  bench::Finish(echo);
  return {1e3 * gigabytes / seconds, cpu / gigabytes, latency.p50_usec,
          latency.p99_usec, start_msec};
}

int Run(int rounds, uint64_t megabytes) {
  const TempDir dir;
  const std::string path = dir.Path("guest.socket");
  auto listener = ListenUnix(path, 0600);
  if (!listener.ok()) Die("listen");
  if (fcntl(listener->get(), F_SETFL, 0) != 0) Die("fcntl");
  const std::vector<std::vector<std::string>> commands = {
      // In the runfiles, which `bazel run` makes the working directory.
      {"proxy/vmsilo-proxy", absl::StrCat("--address=unix:", path, ":5000")},
      {"socat", "FD:0", absl::StrCat("UNIX-CONNECT:", path)},
      {"socat", "-b", "65536", "FD:0", absl::StrCat("UNIX-CONNECT:", path)},
  };
  std::vector<bench::Contestant> contestants = {
      {"vmsilo-proxy", {}}, {"socat", {}}, {"socat -b 65536", {}}};
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < commands.size(); ++i) {
      contestants[i].samples.push_back(Measure(commands[i], listener->get(),
                                               /*has_handshake=*/i == 0,
                                               megabytes * 1'000'000));
    }
  }
  bench::PrintMedians({"MB/s", "CPU s/GB", "p50 us", "p99 us", "start ms"},
                      contestants);
  return 0;
}

}  // namespace
}  // namespace vmsilo::proxy

int main(int argc, char** argv) {
  int rounds = 7;
  uint64_t megabytes = 500;
  if ((argc > 1 && !absl::SimpleAtoi(argv[1], &rounds)) ||
      (argc > 2 && !absl::SimpleAtoi(argv[2], &megabytes)) || rounds < 1) {
    fprintf(stderr, "usage: relay_bench [ROUNDS] [MEGABYTES]\n");
    return 64;
  }
  return vmsilo::proxy::Run(rounds, megabytes);
}
