// byte_stream send BYTES | … | byte_stream receive
//
// Writes so many pseudo-random bytes to standard output, or reads standard
// input to its end, and says on standard error how many bytes these were and
// what their checksum is: "1073741824 bytes, 0123456789abcdef". It costs an
// emulated processor little, so that a test of a gigabyte is one of the way
// between the two.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "absl/strings/string_view.h"
#include "common/parse_number.h"

namespace vmsilo::lab {
namespace {

constexpr size_t kWords = size_t{32} * 1024;
using Block = std::array<uint64_t, kWords>;

// Depends on each word and on its place: both steps can be undone, so that two
// streams that differ in one word have different sums, and any others but with
// a probability of 2^-64.
uint64_t Mix(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * 0x9e3779b97f4a7c15;
  return sum ^ (sum >> 32);
}

uint64_t SumOf(uint64_t sum, const Block& block, size_t bytes) {
  const size_t whole = bytes / sizeof(uint64_t);
  for (size_t i = 0; i < whole; ++i) sum = Mix(sum, block[i]);
  if (bytes % sizeof(uint64_t) == 0) return sum;
  uint64_t last = 0;
  memcpy(&last, &block[whole], bytes % sizeof(uint64_t));
  return Mix(sum, last);
}

int Report(uint64_t bytes, uint64_t sum) {
  fprintf(stderr, "%ju bytes, %016jx\n", static_cast<uintmax_t>(bytes),
          static_cast<uintmax_t>(sum));
  return 0;
}

int Fail(const char* what) {
  perror(what);
  return 1;
}

int Send(uint64_t total) {
  // More at a time where it is a pipe; the check is the same without.
  (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, sizeof(Block));
  uint64_t state = 1;
  uint64_t sum = 0;
  Block block;
  for (uint64_t left = total; left > 0;) {
    for (uint64_t& word : block) {
      // xorshift64 (G. Marsaglia, 2003).
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      word = state;
    }
    const size_t size =
        left < sizeof(block) ? static_cast<size_t>(left) : sizeof(block);
    sum = SumOf(sum, block, size);
    const char* bytes = reinterpret_cast<const char*>(block.data());
    for (size_t done = 0; done < size;) {
      const ssize_t written = write(STDOUT_FILENO, bytes + done, size - done);
      if (written < 0) return Fail("byte_stream: write");
      done += static_cast<size_t>(written);
    }
    left -= size;
  }
  return Report(total, sum);
}

int Receive() {
  (void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, sizeof(Block));
  uint64_t total = 0;
  uint64_t sum = 0;
  Block block;
  for (bool has_ended = false; !has_ended;) {
    // Whole blocks, but for the last one, so that words keep their places.
    char* bytes = reinterpret_cast<char*>(block.data());
    size_t held = 0;
    while (held < sizeof(block) && !has_ended) {
      const ssize_t got =
          read(STDIN_FILENO, bytes + held, sizeof(block) - held);
      if (got < 0) return Fail("byte_stream: read");
      held += static_cast<size_t>(got);
      has_ended = got == 0;
    }
    sum = SumOf(sum, block, held);
    total += held;
  }
  return Report(total, sum);
}

int Main(int argc, char** argv) {
  const absl::string_view what = argc > 1 ? argv[1] : "";
  if (what == "receive" && argc == 2) return Receive();
  if (what == "send" && argc == 3) {
    const auto bytes = ParseNumber<uint64_t>(argv[2], 0, uint64_t{1} << 40);
    if (bytes.ok()) return Send(*bytes);
  }
  fputs("usage: byte_stream (send BYTES|receive)\n", stderr);
  return 64;
}

}  // namespace
}  // namespace vmsilo::lab

int main(int argc, char** argv) { return vmsilo::lab::Main(argc, argv); }
