#include "balloond/sim/rivals/qmemman.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

// The vectors are those of qubes-core-admin's qubes/tests/qmemman.py.
namespace vmsilo::balloond::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

int64_t MB(double amount) { return static_cast<int64_t>(amount * 1048576); }

XenDomain Domain(const char* id, std::optional<double> used, double maximum,
                 double actual) {
  XenDomain domain = {.id = id,
                      .maximum = MB(maximum),
                      .current = MB(actual),
                      .actual = MB(actual)};
  if (used.has_value()) domain.used = MB(*used);
  return domain;
}

TEST(QubesAlgorithmTest, PreferredIsThreeTenthsMoreThanUsed) {
  EXPECT_EQ(QubesAlgorithm::Preferred(Domain("10", 1024, 4096, 0)), MB(1331.2));
  EXPECT_EQ(QubesAlgorithm::Preferred(Domain("10", 5000, 4096, 0)), MB(4096));
}

TEST(QubesAlgorithmTest, HostPrefersMore) {
  EXPECT_EQ(QubesAlgorithm::Preferred(Domain("0", 1024, 4096, 0)), MB(1681.2));
  EXPECT_EQ(QubesAlgorithm::Preferred(Domain("0", 5000, 4096, 0)), MB(4096));
}

TEST(QubesAlgorithmTest, NeededIsWhatLacks) {
  EXPECT_EQ(QubesAlgorithm::Needed(Domain("10", 1024, 4096, 1024)), MB(307.2));
  EXPECT_EQ(QubesAlgorithm::Needed(Domain("10", 1024, 4096, 2024)),
            MB(-692.800001));
}

TEST(QubesAlgorithmTest, FreesWhatItCan) {
  std::vector<XenDomain> domains = {
      Domain("0", 1024, 4096, 1736), Domain("1", 1024, 4096, 1536),
      Domain("2", 4096, 4096, 4096), Domain("3", std::nullopt, 4096, 4096)};
  const QubesAlgorithm algorithm;
  EXPECT_THAT(algorithm.Free(MB(400), domains), IsEmpty());
  domains[1].used = MB(512);
  EXPECT_THAT(
      algorithm.Free(MB(400), domains),
      ElementsAre(XenTarget{"0", 1794242737}, XenTarget{"1", 1196296014}));
}

TEST(QubesAlgorithmTest, SharesASurplusByPreference) {
  EXPECT_THAT(
      QubesAlgorithm().Balance(
          // What is left above all preferences are 4096 MB.
          MB(4096) +
              [] {
                int64_t needed = 0;
                for (const XenDomain& domain : {Domain("0", 1024, 4096, 1736),
                                                Domain("1", 1024, 4096, 1536),
                                                Domain("2", 4096, 4096, 4096),
                                                Domain("4", 1536, 4096, 1536),
                                                Domain("5", 512, 1024, 768)}) {
                  needed += QubesAlgorithm::Needed(domain);
                }
                return needed;
              }(),
          {Domain("0", 1024, 4096, 1736), Domain("1", 1024, 4096, 1536),
           Domain("2", 4096, 4096, 4096), Domain("3", std::nullopt, 4096, 4096),
           Domain("4", 1536, 4096, 1536), Domain("5", 512, 1024, 768)}),
      ElementsAre(XenTarget{"0", 3068708976}, XenTarget{"1", 2548378128},
                  XenTarget{"2", 4294967296}, XenTarget{"4", 3537898734},
                  XenTarget{"5", 1073741824}));
}

std::vector<XenDomain> InWant() {
  return {Domain("0", 1024, 4096, 768),  Domain("1", 1024, 4096, 1536),
          Domain("2", 4096, 4096, 4096), Domain("3", std::nullopt, 4096, 4096),
          Domain("4", 1536, 4096, 1536), Domain("5", 512, 1024, 768)};
}

TEST(QubesAlgorithmTest, InWantDonorsGiveWhatTheyDoNotPrefer) {
  EXPECT_THAT(
      QubesAlgorithm(/*has_sign_quirk=*/true).Balance(MB(50), InWant()),
      ElementsAre(XenTarget{"1", 1395864371}, XenTarget{"5", 697932185}));
}

TEST(QubesAlgorithmTest, WithoutTheQuirkOthersGetIt) {
  const std::vector<XenTarget> targets =
      QubesAlgorithm().Balance(MB(50), InWant());
  ASSERT_EQ(targets.size(), 4);
  EXPECT_EQ(targets[2].domain, "0");
  EXPECT_EQ(targets[3].domain, "4");
  const int64_t given =
      targets[2].target + targets[3].target - MB(768) - MB(1536);
  const int64_t taken =
      MB(1536) + MB(768) - targets[0].target - targets[1].target;
  EXPECT_LE(given, taken + MB(50));
  EXPECT_GT(given, taken + MB(45));
}

TEST(QubesAlgorithmTest, WhoDoesNotObeyDoesNotCount) {
  std::vector<XenDomain> domains = InWant();
  domains[1].has_no_progress = true;
  const std::vector<XenTarget> targets =
      QubesAlgorithm().Balance(MB(50), domains);
  for (const XenTarget& target : targets) EXPECT_NE(target.domain, "1");
}

}  // namespace
}  // namespace vmsilo::balloond::sim
