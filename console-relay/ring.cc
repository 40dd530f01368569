#include "console-relay/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/bytes.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"

namespace vmsilo::console_relay {
namespace {

// Changed with every change of Ring::State.
constexpr uint64_t kMagic = 0x31676e6972736d76;  // "vmsring1"

// The state has the first page, so that the ring proper begins on a page.
constexpr uint64_t kDataOffset = 4096;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

// A process dies between two instructions, and its stores are there in the
// order in which it made them. So only the compiler is to be kept from moving
// them.
void KeepOrder() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

struct Ring::State {
  // How far the terminal is. The kernel moves `offset` on; the position is
  // `base_position` and what `offset` has gained on `base_offset`.
  struct Terminal {
    uint64_t base_position = 0;
    uint64_t base_offset = 0;
    off_t offset = 0;
    uint64_t lost = 0;
  };

  uint64_t magic = 0;
  uint64_t capacity = 0;
  uint64_t epoch = 0;
  uint64_t end = 0;
  // The receipt that is under way, or the last one: the kernel stores into
  // `header.msg_len` what came behind `receive_start`.
  uint64_t receive_start = 0;
  mmsghdr header = {};
  // One of two is current, the other is being made.
  std::array<Terminal, 2> terminals;
  uint32_t current_terminal = 0;
  std::array<LogMark, 2> log_marks;
  uint32_t current_log_mark = 0;
  Counters counters;
};

Ring::Ring(Ring&& other) noexcept
    : fd_(std::move(other.fd_)),
      state_(std::exchange(other.state_, nullptr)),
      capacity_(other.capacity_) {}

Ring::~Ring() {
  if (state_ != nullptr) munmap(state_, kDataOffset + capacity_);
}

absl::StatusOr<Ring> Ring::Map(UniqueFd fd, uint64_t file_size) {
  static_assert(sizeof(State) <= kDataOffset);
  void* const memory =
      mmap(nullptr, file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoStatus("map the scrollback");
  return Ring(std::move(fd), static_cast<State*>(memory),
              file_size - kDataOffset);
}

absl::StatusOr<Ring> Ring::Create(Bytes scrollback) {
  const uint64_t wanted =
      std::clamp(scrollback, kMinScrollback, kMaxScrollback).count();
  const uint64_t capacity =
      (wanted + kDataOffset - 1) / kDataOffset * kDataOffset;
  UniqueFd fd(memfd_create("console", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.is_valid()) return ErrnoStatus("make the scrollback");
  if (ftruncate(fd.get(), static_cast<off_t>(kDataOffset + capacity)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return ErrnoStatus("make the scrollback");
  }
  VMSILO_ASSIGN_OR_RETURN(Ring ring,
                          Map(std::move(fd), kDataOffset + capacity));
  *ring.state_ = State{.capacity = capacity};
  if (getrandom(&ring.state_->epoch, sizeof(ring.state_->epoch), 0) !=
      sizeof(ring.state_->epoch)) {
    return ErrnoStatus("make the scrollback");
  }
  ring.SetTerminal(0, /*lost=*/0);
  // Last: without it, nobody adopts the ring.
  KeepOrder();
  ring.state_->magic = kMagic;
  return ring;
}

absl::StatusOr<Ring> Ring::Adopt(UniqueFd fd) {
  struct stat info = {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus("examine the scrollback");
  // Without the seals somebody could shrink what is mapped.
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  const auto size = static_cast<uint64_t>(info.st_size);
  if (seals < 0 || (seals & kSeals) != kSeals || size <= kDataOffset ||
      size > kDataOffset + kMaxScrollback.count() + kDataOffset) {
    return absl::InvalidArgumentError("the scrollback is not one of ours");
  }
  VMSILO_ASSIGN_OR_RETURN(Ring ring, Map(std::move(fd), size));
  if (ring.state_->magic != kMagic || ring.state_->capacity != ring.capacity_ ||
      ring.state_->current_terminal > 1 || ring.state_->current_log_mark > 1) {
    return absl::InvalidArgumentError(
        "the scrollback is another version's of this program");
  }
  ring.Recover();
  return ring;
}

void Ring::Recover() {
  state_->end =
      std::max(state_->end, state_->receive_start + state_->header.msg_len);
}

char* Ring::data() const {
  return reinterpret_cast<char*>(state_) + kDataOffset;
}

uint64_t Ring::FileOffset(uint64_t position) const {
  return kDataOffset + position % capacity_;
}

uint64_t Ring::epoch() const { return state_->epoch; }

uint64_t Ring::end() const { return state_->end; }

uint64_t Ring::begin() const {
  return state_->end > capacity_ ? state_->end - capacity_ : 0;
}

Ring::Counters& Ring::counters() { return state_->counters; }
const Ring::Counters& Ring::counters() const { return state_->counters; }

Ring::LogMark Ring::log_mark() const {
  return state_->log_marks[state_->current_log_mark];
}

void Ring::SetLogMark(const LogMark& mark) {
  const uint32_t next = 1 - state_->current_log_mark;
  state_->log_marks[next] = mark;
  KeepOrder();
  state_->current_log_mark = next;
}

absl::StatusOr<size_t> Ring::ReceiveFrom(int socket) {
  const uint64_t start = state_->end;
  const uint64_t index = start % capacity_;
  const uint64_t max = std::min<uint64_t>(kMaxReceiveBytes, capacity_);
  const uint64_t first = std::min(max, capacity_ - index);
  std::array<iovec, 2> pieces = {
      {{data() + index, first}, {data(), max - first}}};
  // In this order: at no moment does the sum in Recover() exceed what is true.
  state_->header.msg_len = 0;
  KeepOrder();
  state_->receive_start = start;
  state_->header.msg_hdr = {};
  state_->header.msg_hdr.msg_iov = pieces.data();
  state_->header.msg_hdr.msg_iovlen = pieces.size();
  KeepOrder();
  const int messages =
      recvmmsg(socket, &state_->header, 1, MSG_DONTWAIT, nullptr);
  if (messages != 1) {
    if (errno == EAGAIN || errno == EINTR) {
      return absl::UnavailableError("nothing to receive");
    }
    return ErrnoStatus("receive from the guest");
  }
  KeepOrder();
  const size_t received = state_->header.msg_len;
  state_->end = start + received;
  return received;
}

std::array<absl::string_view, 2> Ring::Peek(uint64_t position,
                                            size_t max) const {
  if (position < begin() || position >= end()) return {};
  const uint64_t size = std::min<uint64_t>(max, end() - position);
  const uint64_t index = position % capacity_;
  const uint64_t first = std::min(size, capacity_ - index);
  return {absl::string_view(data() + index, first),
          absl::string_view(data(), size - first)};
}

uint64_t Ring::terminal() const {
  const State::Terminal& terminal = state_->terminals[state_->current_terminal];
  return terminal.base_position +
         (static_cast<uint64_t>(terminal.offset) - terminal.base_offset);
}

uint64_t Ring::terminal_lost() const {
  return state_->terminals[state_->current_terminal].lost;
}

void Ring::SetTerminal(uint64_t position, uint64_t lost) {
  const uint32_t next = 1 - state_->current_terminal;
  const uint64_t offset = FileOffset(position);
  state_->terminals[next] = {.base_position = position,
                             .base_offset = offset,
                             .offset = static_cast<off_t>(offset),
                             .lost = lost};
  KeepOrder();
  state_->current_terminal = next;
}

uint64_t Ring::SkipLost() {
  const uint64_t position = terminal();
  if (position >= begin()) return 0;
  const uint64_t lost = begin() - position;
  SetTerminal(begin(), terminal_lost() + lost);
  return lost;
}

void Ring::RewindTerminal() { SetTerminal(begin(), terminal_lost()); }

absl::StatusOr<size_t> Ring::SendToTerminal(int terminal_fd, size_t max) {
  (void)SkipLost();
  const uint64_t position = terminal();
  const uint64_t until_edge = capacity_ - position % capacity_;
  const size_t size =
      std::min({static_cast<uint64_t>(max), end() - position, until_edge});
  if (size == 0) return 0;
  SetTerminal(position, terminal_lost());
  const ssize_t sent =
      sendfile(terminal_fd, fd_.get(),
               &state_->terminals[state_->current_terminal].offset, size);
  if (sent < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      return absl::UnavailableError("the terminal is full");
    }
    return ErrnoStatus("write to the terminal");
  }
  return static_cast<size_t>(sent);
}

}  // namespace vmsilo::console_relay
