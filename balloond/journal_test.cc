#include "balloond/journal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "balloond/controller.h"
#include "common/log.h"
#include "common/testing/fake_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::balloond {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMiB = int64_t{1} << 20;

class JournalTest : public testing::Test {
 protected:
  // What has come since the last call, as people see it by default.
  std::vector<std::string> Lines() { return std::exchange(lines_, {}); }

  VmView View(bool is_managed, Reason reason,
              std::optional<int64_t> oom_kills = std::nullopt) {
    VmView view = {.reason = reason, .is_managed = is_managed};
    if (oom_kills) view.sample = GuestSample{.oom_kills = oom_kills};
    return view;
  }

  void See(const VmView& view, const absl::Status& error = absl::OkStatus()) {
    journal_.OnView("work", view, error);
  }

  FakeClock clock_;
  std::vector<std::string> lines_;
  Journal journal_{&clock_, [this](LogLevel level, const std::string& text) {
                     if (level <= LogLevel::kInfo) lines_.push_back(text);
                   }};
};

TEST_F(JournalTest, AGuestThatBootsIsNoNews) {
  for (int i = 0; i < 100; ++i) {
    See(View(false, Reason::kWaiting));
    See(View(false, Reason::kUnmanaged), absl::UnavailableError("no driver"));
  }
  See(View(true, Reason::kBalanced));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(JournalTest, TellsWhenAGuestFallsSilentAndWhenItIsBack) {
  See(View(true, Reason::kBalanced));
  See(View(false, Reason::kUnmanaged),
      absl::DeadlineExceededError("no answer"));
  See(View(false, Reason::kUnmanaged),
      absl::DeadlineExceededError("no answer"));
  EXPECT_THAT(Lines(), ElementsAre("silo 'work' does not say how it is: no "
                                   "answer; it keeps what it has until it "
                                   "does"));
  See(View(true, Reason::kBalanced));
  See(View(true, Reason::kShared));
  EXPECT_THAT(Lines(), ElementsAre("silo 'work' takes part again"));
}

TEST_F(JournalTest, TellsOfProgramsThatAGuestHasKilled) {
  See(View(true, Reason::kBalanced, 3));
  EXPECT_THAT(Lines(), IsEmpty());
  See(View(true, Reason::kBalanced, 5));
  EXPECT_THAT(Lines(), ElementsAre("silo 'work' has killed 2 of its programs "
                                   "for want of memory"));
  // Started again.
  See(View(true, Reason::kBalanced, 0));
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(JournalTest, AGuestCausesALineAMinuteAtMost) {
  int64_t kills = 0;
  size_t count = 0;
  for (int i = 0; i < 600; ++i) {
    See(View(true, Reason::kBalanced, kills += 1000));
    journal_.OnResize("work",
                      {.vm = 1, .balloon = 0, .reason = Reason::kStalled}, kMiB,
                      /*is_dry_run=*/false);
    journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
    clock_.Advance(absl::Seconds(1));
    count += Lines().size();
  }
  EXPECT_LE(count, 11);
  EXPECT_GE(count, 9);
}

TEST_F(JournalTest, SaysHowMuchItHasLeftOut) {
  journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
  journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
  journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
  EXPECT_EQ(Lines().size(), 1);
  clock_.Advance(absl::Minutes(2));
  journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("no (2 lines left out)")));
}

TEST_F(JournalTest, OneSiloDoesNotSilenceAnother) {
  journal_.OnResizeError("work", absl::FailedPreconditionError("no"));
  journal_.OnResizeError("net", absl::FailedPreconditionError("no"));
  EXPECT_EQ(Lines().size(), 2);
}

TEST_F(JournalTest, OrdinaryMovesAreNoNews) {
  journal_.OnResize("work",
                    {.vm = 1, .balloon = 5 * kMiB, .reason = Reason::kShared},
                    kMiB, /*is_dry_run=*/false);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(JournalTest, ADryRunSaysWhatItWouldDo) {
  const Resize resize = {
      .vm = 1, .balloon = 5 * kMiB, .reason = Reason::kShared};
  journal_.OnResize("work", resize, kMiB, /*is_dry_run=*/true);
  journal_.OnResize("work", resize, std::nullopt, /*is_dry_run=*/true);
  EXPECT_THAT(Lines(),
              ElementsAre("silo 'work': balloon would go from 1 MiB to 5 MiB, "
                          "shared",
                          "silo 'work': balloon would go to 5 MiB, shared"));
  for (int i = 0; i < 1000; ++i) {
    journal_.OnResize("work", resize, kMiB, /*is_dry_run=*/true);
  }
  EXPECT_LE(Lines().size(), 20);
}

TEST_F(JournalTest, TellsOnceThatAGuestDoesNotFollow) {
  journal_.OnResize(
      "work", {.vm = 1, .balloon = 300 * kMiB, .reason = Reason::kStalled},
      400 * kMiB, /*is_dry_run=*/false);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("does not give up the memory")));
}

HostReading HostWith(int64_t available) {
  return {.total = 8000 * kMiB, .available = available * kMiB};
}

TEST_F(JournalTest, TellsWhenTheHostIsShortAndWhenNotAnyMore) {
  journal_.OnHost(HostWith(500), 400 * kMiB, 0);
  EXPECT_THAT(Lines(), IsEmpty());
  journal_.OnHost(HostWith(399), 400 * kMiB, 0);
  journal_.OnHost(HostWith(300), 400 * kMiB, 0);
  EXPECT_THAT(Lines(), ElementsAre("the host is short of memory: 399 MiB "
                                   "available, of which 400 MiB are its own"));
  // Not at the very edge.
  journal_.OnHost(HostWith(401), 400 * kMiB, 0);
  EXPECT_THAT(Lines(), IsEmpty());
  journal_.OnHost(HostWith(600), 400 * kMiB, 0);
  EXPECT_THAT(Lines(), ElementsAre("the host has enough memory again"));
  // Soon again: the one who reads knows.
  journal_.OnHost(HostWith(300), 400 * kMiB, 0);
  journal_.OnHost(HostWith(600), 400 * kMiB, 0);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(JournalTest, TellsOnceThatGuestsMayTakeFarMoreThanThereIs) {
  journal_.OnHost(HostWith(1400), 400 * kMiB, 4000 * kMiB);
  EXPECT_THAT(Lines(), IsEmpty());
  journal_.OnHost(HostWith(1400), 400 * kMiB, 4001 * kMiB);
  journal_.OnHost(HostWith(1400), 400 * kMiB, 9000 * kMiB);
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("may still take 4001 MiB")));
}

TEST_F(JournalTest, AHostThatCannotBeSeenIsAnErrorAMinute) {
  for (int i = 0; i < 60; ++i) {
    journal_.OnHostError(absl::InvalidArgumentError("nonsense"));
    clock_.Advance(absl::Seconds(2));
  }
  EXPECT_LE(Lines().size(), 3);
}

TEST_F(JournalTest, ForeignNamesCannotForgeALine) {
  journal_.OnFound("a\nb\x1b[2J", "qemu", "");
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("'a\\nb\\x1b[2J'")));
}

}  // namespace
}  // namespace vmsilo::balloond
