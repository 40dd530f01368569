// A program of a guest that has as much memory as it is told to, uses it all
// the time, and tells how that went. Static: it goes into a guest that has
// nothing but busybox.
//
// The lines of its standard input, and the answers:
//
//   hold MIB     "holds MIB" when it has come to that
//   read FILE    "read FILE" when the guest's page cache has had all of it; the
//                file stays open, as that of a disk is dropped with the last
//                user
//   report       "touched MIB longest MICROSECONDS": how much it has used since
//                the last report, and the longest that one MiB took
//
// It ends when standard input does.

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace vmsilo {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kPage = 4096;
constexpr size_t kMost = size_t{1} << 20;  // MiB
// Between two MiB that it has already: a program that computes as well.
constexpr int kPauseMilliseconds = 5;

class Eater {
 public:
  // Returns the exit status.
  int Run() {
    for (;;) {
      pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      const int timeout = blocks_.size() != wanted_ ? 0
                          : blocks_.empty()         ? -1
                                                    : kPauseMilliseconds;
      if (poll(&input, 1, timeout) < 0) return EXIT_FAILURE;
      if (input.revents != 0 && !ReadInput()) return EXIT_SUCCESS;
      Step();
    }
  }

 private:
  bool ReadInput() {
    char buffer[256];
    const ssize_t size = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (size <= 0) return false;
    input_.append(buffer, static_cast<size_t>(size));
    for (size_t end; (end = input_.find('\n')) != std::string::npos;) {
      Obey(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    return true;
  }

  void Obey(const std::string& line) {
    if (line == "report") {
      printf("touched %llu longest %lld\n",
             static_cast<unsigned long long>(touched_),
             static_cast<long long>(longest_.count()));
      fflush(stdout);
      touched_ = 0;
      longest_ = {};
      return;
    }
    if (line.rfind("read ", 0) == 0) return ReadFile(line.substr(5));
    if (line.rfind("hold ", 0) != 0) Fail(line.c_str());
    wanted_ = std::min<size_t>(strtoull(line.c_str() + 5, nullptr, 10), kMost);
    owes_answer_ = true;
  }

  void ReadFile(const std::string& path) {
    if (file_ < 0) file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0 || lseek(file_, 0, SEEK_SET) != 0) Fail(path.c_str());
    static char buffer[kMiB];
    ssize_t size;
    while ((size = read(file_, buffer, sizeof(buffer))) > 0) {
    }
    if (size < 0) Fail(path.c_str());
    printf("read %s\n", path.c_str());
    fflush(stdout);
  }

  [[noreturn]] static void Fail(const char* what) {
    perror(what);
    exit(EXIT_FAILURE);
  }

  void Step() {
    const auto begin = std::chrono::steady_clock::now();
    if (blocks_.size() < wanted_) {
      void* block = mmap(nullptr, kMiB, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (block == MAP_FAILED) Fail("mmap");
      blocks_.push_back(static_cast<volatile char*>(block));
      Touch(blocks_.back());
    } else if (blocks_.size() > wanted_) {
      munmap(const_cast<char*>(blocks_.back()), kMiB);
      blocks_.pop_back();
    } else if (!blocks_.empty()) {
      next_ = (next_ + 1) % blocks_.size();
      Touch(blocks_[next_]);
    }
    longest_ = std::max(longest_,
                        std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::steady_clock::now() - begin));
    if (owes_answer_ && blocks_.size() == wanted_) {
      owes_answer_ = false;
      printf("holds %zu\n", wanted_);
      fflush(stdout);
    }
  }

  void Touch(volatile char* block) {
    ++touched_;
    // Another content in each page, so that no two of them can be merged.
    for (size_t at = 0; at < kMiB; at += kPage) {
      block[at] = static_cast<char>(touched_ + at / kPage);
    }
  }

  std::string input_;
  int file_ = -1;
  std::vector<volatile char*> blocks_;
  size_t wanted_ = 0;
  bool owes_answer_ = false;
  size_t next_ = 0;
  uint64_t touched_ = 0;
  std::chrono::microseconds longest_ = {};
};

}  // namespace
}  // namespace vmsilo

int main() { return vmsilo::Eater().Run(); }
