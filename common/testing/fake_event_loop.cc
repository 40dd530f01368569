#include "common/testing/fake_event_loop.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/event_loop.h"
#include "gtest/gtest.h"

namespace vmsilo {

class FakeEventLoop::SourceImpl final : public Source::Impl {
 public:
  SourceImpl(FakeEventLoop* loop, std::shared_ptr<Entry> entry)
      : loop_(loop), entry_(std::move(entry)) {}

  ~SourceImpl() override {
    entry_->is_gone = true;
    loop_->entries_.remove(entry_);
  }

  absl::Status SetEvents(uint32_t events) override {
    entry_->events = events;
    return absl::OkStatus();
  }

  absl::Status SetTimer(absl::Duration after) override {
    entry_->at = loop_->clock_->Now() + std::max(after, absl::ZeroDuration());
    return absl::OkStatus();
  }

 private:
  FakeEventLoop* loop_;
  std::shared_ptr<Entry> entry_;
};

FakeEventLoop::~FakeEventLoop() {
  EXPECT_TRUE(entries_.empty()) << "a source outlives its loop";
}

Source FakeEventLoop::Add(std::shared_ptr<Entry> entry) {
  entries_.push_back(entry);
  return Source(std::make_unique<SourceImpl>(this, std::move(entry)));
}

absl::StatusOr<Source> FakeEventLoop::AddIo(int fd, uint32_t events,
                                            IoHandler handler) {
  return Add(std::make_shared<Entry>(Entry{.kind = Entry::Kind::kIo,
                                           .number = fd,
                                           .events = events,
                                           .handler = std::move(handler)}));
}

absl::StatusOr<Source> FakeEventLoop::AddTimer(absl::Duration after,
                                               Handler handler) {
  return Add(std::make_shared<Entry>(
      Entry{.kind = Entry::Kind::kTimer,
            .at = clock_->Now() + std::max(after, absl::ZeroDuration()),
            .handler = [handler = std::move(handler)](uint32_t) {
              return handler();
            }}));
}

absl::StatusOr<Source> FakeEventLoop::AddSignal(int signo, Handler handler) {
  return Add(std::make_shared<Entry>(
      Entry{.kind = Entry::Kind::kSignal,
            .number = signo,
            .handler = [handler = std::move(handler)](uint32_t) {
              return handler();
            }}));
}

std::shared_ptr<FakeEventLoop::Entry> FakeEventLoop::NextTimer() const {
  std::shared_ptr<Entry> next;
  for (const std::shared_ptr<Entry>& entry : entries_) {
    if (entry->kind != Entry::Kind::kTimer ||
        entry->at == absl::InfiniteFuture()) {
      continue;
    }
    if (next == nullptr || entry->at < next->at) next = entry;
  }
  return next;
}

absl::Duration FakeEventLoop::UntilNextTimer() const {
  const std::shared_ptr<Entry> next = NextTimer();
  return next == nullptr ? absl::InfiniteDuration() : next->at - clock_->Now();
}

absl::Status FakeEventLoop::RunOnce(absl::Duration timeout) {
  const std::shared_ptr<Entry> next = NextTimer();
  const absl::Time end = clock_->Now() + timeout;
  if (next == nullptr || next->at > end) {
    if (timeout != absl::InfiniteDuration()) clock_->Advance(timeout);
    return absl::OkStatus();
  }
  clock_->Advance(std::max(next->at - clock_->Now(), absl::ZeroDuration()));
  next->at = absl::InfiniteFuture();
  ++wake_ups_;
  return next->handler(0);
}

void FakeEventLoop::Advance(absl::Duration by) {
  const absl::Time end = clock_->Now() + by;
  while (clock_->Now() < end || UntilNextTimer() <= absl::ZeroDuration()) {
    const absl::Status status = RunOnce(end - clock_->Now());
    ASSERT_TRUE(status.ok()) << status;
  }
}

bool FakeEventLoop::Call(Entry::Kind kind, int number, uint32_t events) {
  bool is_wanted = false;
  const std::list<std::shared_ptr<Entry>> entries = entries_;
  for (const std::shared_ptr<Entry>& entry : entries) {
    if (entry->kind != kind || entry->number != number || entry->is_gone) {
      continue;
    }
    if (kind == Entry::Kind::kIo && (entry->events & events) == 0) continue;
    is_wanted = true;
    const absl::Status status = entry->handler(events);
    EXPECT_TRUE(status.ok()) << status;
  }
  return is_wanted;
}

bool FakeEventLoop::Fire(int fd, uint32_t events) {
  return Call(Entry::Kind::kIo, fd, events);
}

bool FakeEventLoop::Raise(int signo) {
  return Call(Entry::Kind::kSignal, signo, 0);
}

}  // namespace vmsilo
