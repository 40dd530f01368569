// vmsilo-proxy against socat, doing the same job in one run: a client's socket
// on standard input and output, relayed to a Unix socket. Rounds alternate, so
// that whatever else the machine does meets both alike. Prints medians and
// ratios.
//
//   bazel run -c opt //proxy:relay_bench -- [ROUNDS] [MEGABYTES]

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/socket.h"
#include "common/testing/temp_dir.h"
#include "common/unique_fd.h"

namespace vmsilo::proxy {
namespace {

constexpr int kRoundTrips = 20'000;
constexpr size_t kMessageBytes = 64;

[[noreturn]] void Die(absl::string_view what) {
  perror(std::string(what).c_str());
  exit(1);
}

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
  relay.pid = fork();
  if (relay.pid < 0) Die("fork");
  if (relay.pid == 0) {
    dup2(pair->second.get(), 0);
    dup2(pair->second.get(), 1);
    std::vector<char*> pointers;
    for (const std::string& text : argv) {
      pointers.push_back(const_cast<char*>(text.c_str()));
    }
    pointers.push_back(nullptr);
    execvp(pointers[0], pointers.data());
    Die(argv[0]);
  }
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

double CpuSeconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

rusage Finish(Relay relay) {
  relay.client.Reset();
  relay.guest.Reset();
  int status = 0;
  rusage usage = {};
  if (wait4(relay.pid, &status, 0, &usage) != relay.pid) Die("wait4");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "the relay failed: status %d\n", status);
    exit(1);
  }
  return usage;
}

// Runs `body` in a child, while the caller does its part.
pid_t InChild(void (*body)(int fd, uint64_t bytes), Relay* relay,
              uint64_t bytes) {
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) {
    // The child's copy would keep the connection open.
    relay->client.Reset();
    body(relay->guest.get(), bytes);
    _exit(0);
  }
  return pid;
}

void Produce(int fd, uint64_t bytes) {
  const std::string piece(64 * 1024, 'p');
  while (bytes > 0) {
    const ssize_t count =
        write(fd, piece.data(), std::min<uint64_t>(bytes, piece.size()));
    if (count <= 0) _exit(1);
    bytes -= static_cast<uint64_t>(count);
  }
}

void Echo(int fd, uint64_t) {
  char buffer[kMessageBytes];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count <= 0) return;
    if (write(fd, buffer, static_cast<size_t>(count)) != count) return;
  }
}

struct Sample {
  double megabytes_per_second = 0;
  double cpu_seconds_per_gigabyte = 0;
  double p50_usec = 0;
  double p99_usec = 0;
  double start_msec = 0;
};

Sample Measure(const std::vector<std::string>& argv, int listener,
               bool has_handshake, uint64_t bytes) {
  Sample sample;
  {
    const absl::Time start = absl::Now();
    Relay relay = StartRelay(argv, listener, has_handshake);
    const pid_t child = InChild(Produce, &relay, bytes);
    std::string buffer(256 * 1024, '\0');
    absl::Time first;
    for (uint64_t got = 0; got < bytes;) {
      const ssize_t count =
          read(relay.client.get(), buffer.data(), buffer.size());
      if (count <= 0) Die("read");
      if (got == 0) first = absl::Now();
      got += static_cast<uint64_t>(count);
    }
    const double seconds = absl::ToDoubleSeconds(absl::Now() - first);
    sample.start_msec = absl::ToDoubleMilliseconds(first - start);
    sample.megabytes_per_second = static_cast<double>(bytes) / 1e6 / seconds;
    if (waitpid(child, nullptr, 0) != child) Die("waitpid");
    sample.cpu_seconds_per_gigabyte = CpuSeconds(Finish(std::move(relay))) /
                                      (static_cast<double>(bytes) / 1e9);
  }
  {
    Relay relay = StartRelay(argv, listener, has_handshake);
    const pid_t child = InChild(Echo, &relay, 0);
    relay.guest.Reset();
    char message[kMessageBytes] = {};
    std::vector<double> times;
    times.reserve(kRoundTrips);
    for (int i = 0; i < kRoundTrips; ++i) {
      const absl::Time start = absl::Now();
      if (write(relay.client.get(), message, sizeof(message)) !=
              static_cast<ssize_t>(sizeof(message)) ||
          read(relay.client.get(), message, sizeof(message)) !=
              static_cast<ssize_t>(sizeof(message))) {
        Die("round trip");
      }
      times.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
    }
    std::sort(times.begin(), times.end());
    sample.p50_usec = times[times.size() / 2];
    sample.p99_usec = times[times.size() * 99 / 100];
    (void)Finish(std::move(relay));
    if (waitpid(child, nullptr, 0) != child) Die("waitpid");
  }
  return sample;
}

double Median(const std::vector<Sample>& samples, double Sample::*member) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.*member);
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Run(int rounds, uint64_t megabytes) {
  const TempDir dir;
  const std::string path = dir.Path("guest.socket");
  auto listener = ListenUnix(path, 0600);
  if (!listener.ok()) Die("listen");
  if (fcntl(listener->get(), F_SETFL, 0) != 0) Die("fcntl");
  struct Contestant {
    std::string name;
    std::vector<std::string> argv;
    bool has_handshake;
    std::vector<Sample> samples;
  } contestants[] = {
      {"vmsilo-proxy",
       // In the runfiles, which `bazel run` makes the working directory.
       {"proxy/vmsilo-proxy", absl::StrCat("--address=unix:", path, ":5000")},
       true,
       {}},
      {"socat",
       {"socat", "FD:0", absl::StrCat("UNIX-CONNECT:", path)},
       false,
       {}},
      {"socat -b 65536",
       {"socat", "-b", "65536", "FD:0", absl::StrCat("UNIX-CONNECT:", path)},
       false,
       {}},
  };
  for (int round = 0; round < rounds; ++round) {
    for (Contestant& contestant : contestants) {
      contestant.samples.push_back(Measure(contestant.argv, listener->get(),
                                           contestant.has_handshake,
                                           megabytes * 1'000'000));
    }
  }
  const std::pair<const char*, double Sample::*> kColumns[] = {
      {"MB/s", &Sample::megabytes_per_second},
      {"CPU s/GB", &Sample::cpu_seconds_per_gigabyte},
      {"p50 us", &Sample::p50_usec},
      {"p99 us", &Sample::p99_usec},
      {"start ms", &Sample::start_msec},
  };
  printf("%-16s", "median of");
  for (const auto& [title, member] : kColumns) printf("%12s", title);
  printf("\n");
  for (const Contestant& contestant : contestants) {
    printf("%-16s", contestant.name.c_str());
    for (const auto& [title, member] : kColumns) {
      printf("%12.3f", Median(contestant.samples, member));
    }
    printf("\n");
  }
  for (size_t other = 1; other < 3; ++other) {
    printf("proxy / %-8s",
           contestants[other].name.size() > 5 ? "-b 65536" : "socat");
    for (const auto& [title, member] : kColumns) {
      printf("%12.3f", Median(contestants[0].samples, member) /
                           Median(contestants[other].samples, member));
    }
    printf("\n");
  }
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
