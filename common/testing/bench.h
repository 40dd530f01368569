#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// For programs that run ours beside another one that does the same, in
// alternation, so that whatever else the machine does meets both alike.
namespace vmsilo::bench {

// Ends the process with what errno says.
[[noreturn]] void Die(absl::string_view what);

// Starts `argv`; `inputs` become its descriptors 0, 1 …
pid_t Spawn(const std::vector<std::string>& argv,
            const std::vector<int>& inputs = {});

// Runs `body` in a child, which ends with it.
template <typename Body>
pid_t InChild(const Body& body);

// Waits for a child. Anything but success is the end, unless `signal` ended it.
// Its processor time in seconds.
double Finish(pid_t pid, int signal = 0);

// Writes `bytes` of some bytes, in large pieces.
void Produce(int fd, uint64_t bytes);
// Reads as many. The time between the first and the last, in seconds.
double Consume(int fd, uint64_t bytes);

// Sends back whatever comes, up to the end.
void Echo(int fd);

struct Latency {
  double p50_usec = 0;
  double p99_usec = 0;
};
// Of messages of `size` bytes that an Echo() at the other end sends back.
Latency MeasureRoundTrips(int fd, size_t size, int count);

struct Contestant {
  std::string name;
  // One for each round, each with a number for each column.
  std::vector<std::vector<double>> samples;
};

// The medians of all, and those of the first divided by those of the others.
void PrintMedians(const std::vector<std::string>& columns,
                  const std::vector<Contestant>& contestants);

// ---- Implementation ----

// fork(), for InChild().
pid_t Fork();
[[noreturn]] void ExitChild();

template <typename Body>
pid_t InChild(const Body& body) {
  const pid_t pid = Fork();
  if (pid == 0) {
    body();
    ExitChild();
  }
  return pid;
}

}  // namespace vmsilo::bench
