#include "balloond/sim/rivals/proxmox.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

// The vectors are those of pve-manager's test/balloontest.pl: decimal
// megabytes.
namespace vmsilo::balloond::sim {
namespace {

using ::testing::TestWithParam;
using ::testing::ValuesIn;

constexpr int64_t kMB = 1'000'000;
constexpr int64_t kGB = 1000 * kMB;

using Sizes = std::map<int, int64_t>;

std::vector<ProxmoxVm> TwoAlike() {
  return {{100, 2 * kGB, kGB, kGB, 0, 2000}, {101, 2 * kGB, kGB, kGB, 0, 1000}};
}

std::vector<ProxmoxVm> OneFull() {
  return {{100, 2 * kGB, 2 * kGB, 2 * kGB, 0, 2000},
          {101, 2 * kGB, kGB, kGB, 0, 1000}};
}

std::vector<ProxmoxVm> Three() {
  return {{100, 2 * kGB, 2 * kGB, 2 * kGB, 0, 2000},
          {101, 2 * kGB, kGB, kGB + 7 * kMB, 0, 1000},
          {102, 2 * kGB, kGB, kGB, 512 * kMB, 1000}};
}

// Repeats until nothing changes, guests using none of what they get.
Sizes Settle(std::vector<ProxmoxVm>* vms, int64_t goal) {
  Sizes all;
  while (true) {
    int64_t moved = 0;
    for (const auto& [id, size] : ShareAsProxmox(*vms, goal, 100 * kMB)) {
      ProxmoxVm& vm =
          *std::find_if(vms->begin(), vms->end(),
                        [&](const ProxmoxVm& each) { return each.id == id; });
      const int64_t change = size - vm.memory;
      if (change == 0) continue;
      vm.memory = size;
      vm.free = std::max<int64_t>(0, vm.free + change);
      all[id] = size;
      goal -= change;
      moved += std::abs(change);
    }
    if (moved == 0) return all;
  }
}

Sizes InMB(const Sizes& sizes) {
  Sizes result;
  for (const auto& [id, size] : sizes) result[id] = size * kMB;
  return result;
}

struct Case {
  const char* name;
  std::vector<ProxmoxVm> vms;
  int64_t goal;
  Sizes sizes;
};

class ProxmoxOnceTest : public TestWithParam<Case> {};

TEST_P(ProxmoxOnceTest, Shares) {
  const Case& test = GetParam();
  EXPECT_EQ(ShareAsProxmox(test.vms, test.goal * kMB, 100 * kMB),
            InMB(test.sizes));
}

INSTANTIATE_TEST_SUITE_P(
    Published, ProxmoxOnceTest,
    ValuesIn(std::vector<Case>{
        {"Alike0", TwoAlike(), 0, {}},
        {"Alike90", TwoAlike(), 90, {{100, 1060}, {101, 1030}}},
        {"Alike150", TwoAlike(), 150, {{100, 1100}, {101, 1050}}},
        {"Alike270", TwoAlike(), 270, {{100, 1100}, {101, 1090}}},
        {"Full0", OneFull(), 0, {}},
        {"Full18", OneFull(), 18, {{101, 1018}}},
        {"Full500", OneFull(), 500, {{101, 1100}}},
        {"Three0", Three(), 0, {}},
        {"Three11", Three(), 11, {{101, 1018}}},
        {"Three80", Three(), 80, {{101, 1087}}},
        {"Three200", Three(), 200, {{101, 1107}}},
    }),
    [](const auto& test) { return std::string(test.param.name); });

class ProxmoxSettledTest : public TestWithParam<Case> {};

TEST_P(ProxmoxSettledTest, Shares) {
  const Case& test = GetParam();
  std::vector<ProxmoxVm> vms = test.vms;
  EXPECT_EQ(Settle(&vms, test.goal * kMB), InMB(test.sizes));
}

INSTANTIATE_TEST_SUITE_P(
    Published, ProxmoxSettledTest,
    ValuesIn(std::vector<Case>{
        {"Alike180", TwoAlike(), 180, {{100, 1120}, {101, 1060}}},
        {"Alike270", TwoAlike(), 270, {{100, 1180}, {101, 1090}}},
        {"Alike600", TwoAlike(), 600, {{100, 1300}, {101, 1300}}},
        {"Alike900", TwoAlike(), 900, {{100, 1600}, {101, 1300}}},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ProxmoxSettledTest, TakesBackWhatItGave) {
  std::vector<ProxmoxVm> vms = Three();
  EXPECT_EQ(Settle(&vms, 593 * kMB), InMB({{101, 1300}, {102, 1300}}));
  const std::vector<ProxmoxVm> given = vms;
  EXPECT_EQ(Settle(&vms, -200 * kMB), InMB({{101, 1200}, {102, 1200}}));
  vms = given;
  EXPECT_EQ(Settle(&vms, -400 * kMB), InMB({{101, 1200}, {102, 1000}}));
  vms = given;
  EXPECT_EQ(Settle(&vms, -593 * kMB), InMB({{101, 1007}, {102, 1000}}));
}

TEST(ProxmoxTest, LeavesAloneWhoHasNoShares) {
  std::vector<ProxmoxVm> vms = TwoAlike();
  vms[0].shares = 0;
  EXPECT_EQ(ShareAsProxmox(vms, 90 * kMB, 100 * kMB), InMB({{101, 1090}}));
}

}  // namespace
}  // namespace vmsilo::balloond::sim
