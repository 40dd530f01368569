#include "common/testing/bench.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace vmsilo::bench {
namespace {

constexpr size_t kPieceBytes = size_t{64} * 1024;
// Longer than any program that works is silent.
constexpr int kPatienceMsec = 10'000;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_usec) / 1e6;
}

double Median(const Contestant& contestant, size_t column) {
  std::vector<double> values;
  for (const std::vector<double>& sample : contestant.samples) {
    values.push_back(sample[column]);
  }
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

void Die(absl::string_view what) {
  perror(std::string(what).c_str());
  exit(1);
}

pid_t Fork() {
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  return pid;
}

void ExitChild() { _exit(0); }

pid_t Spawn(const std::vector<std::string>& argv,
            const std::vector<int>& inputs) {
  const pid_t pid = Fork();
  if (pid != 0) return pid;
  for (size_t i = 0; i < inputs.size(); ++i) {
    dup2(inputs[i], static_cast<int>(i));
  }
  std::vector<char*> pointers;
  for (const std::string& text : argv) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  Die(argv[0]);
}

double Finish(pid_t pid, int signal) {
  int status = 0;
  rusage usage = {};
  if (wait4(pid, &status, 0, &usage) != pid) Die("wait4");
  const bool is_good = WIFEXITED(status)
                           ? WEXITSTATUS(status) == 0 || (signal != 0)
                           : WTERMSIG(status) == signal;
  if (!is_good) {
    fprintf(stderr, "a program failed: status %d\n", status);
    exit(1);
  }
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

void Produce(int fd, uint64_t bytes) {
  const std::string piece(kPieceBytes, 'p');
  while (bytes > 0) {
    const ssize_t count =
        write(fd, piece.data(), std::min<uint64_t>(bytes, piece.size()));
    if (count <= 0) Die("write");
    bytes -= static_cast<uint64_t>(count);
  }
}

double Consume(int fd, uint64_t bytes) {
  std::string buffer(4 * kPieceBytes, '\0');
  absl::Time first;
  for (uint64_t got = 0; got < bytes;) {
    pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&entry, 1, kPatienceMsec) != 1) {
      fprintf(stderr, "only %ju of %ju bytes came\n", uintmax_t{got},
              uintmax_t{bytes});
      exit(1);
    }
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count <= 0) Die("read");
    if (got == 0) first = absl::Now();
    got += static_cast<uint64_t>(count);
  }
  return absl::ToDoubleSeconds(absl::Now() - first);
}

void Echo(int fd) {
  std::string buffer(kPieceBytes, '\0');
  for (;;) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count <= 0) return;
    if (write(fd, buffer.data(), static_cast<size_t>(count)) != count) return;
  }
}

Latency MeasureRoundTrips(int fd, size_t size, int count) {
  std::string message(size, 'm');
  std::vector<double> times;
  times.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const absl::Time start = absl::Now();
    if (write(fd, message.data(), size) != static_cast<ssize_t>(size)) {
      Die("write");
    }
    for (size_t got = 0; got < size;) {
      const ssize_t now = read(fd, message.data(), size - got);
      if (now <= 0) Die("read");
      got += static_cast<size_t>(now);
    }
    times.push_back(absl::ToDoubleMicroseconds(absl::Now() - start));
  }
  std::sort(times.begin(), times.end());
  return {.p50_usec = times[times.size() / 2],
          .p99_usec = times[times.size() * 99 / 100]};
}

void PrintMedians(const std::vector<std::string>& columns,
                  const std::vector<Contestant>& contestants) {
  printf("%-20s", "medians");
  for (const std::string& column : columns) printf("%13s", column.c_str());
  printf("\n");
  for (const Contestant& contestant : contestants) {
    printf("%-20s", contestant.name.c_str());
    for (size_t i = 0; i < columns.size(); ++i) {
      printf("%13.3f", Median(contestant, i));
    }
    printf("\n");
  }
  for (size_t other = 1; other < contestants.size(); ++other) {
    printf("%-20s", absl::StrCat("/ ", contestants[other].name).c_str());
    for (size_t i = 0; i < columns.size(); ++i) {
      printf("%13.3f",
             Median(contestants[0], i) / Median(contestants[other], i));
    }
    printf("\n");
  }
}

}  // namespace vmsilo::bench
