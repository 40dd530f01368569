#include "unitgen/features.h"

#include <string>
#include <vector>

#include "config/config.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using config::Hypervisor;

std::string ExclusionOf(Hypervisor hypervisor,
                        const std::vector<std::string>& arguments) {
  config::Config config;
  config::Vm vm;
  vm.hypervisor = hypervisor;
  vm.extra_args = arguments;
  return BalloonExclusion(config, vm);
}

TEST(BalloonExclusionTest, PlainSilosAreBalanced) {
  for (const Hypervisor hypervisor :
       {Hypervisor::kCrosvm, Hypervisor::kCloudHypervisor, Hypervisor::kQemu}) {
    EXPECT_EQ(ExclusionOf(hypervisor, {}), "");
  }
  // crosvm's option of that name asks for what can be split again.
  EXPECT_EQ(ExclusionOf(Hypervisor::kCrosvm, {"--hugepages"}), "");
}

TEST(BalloonExclusionTest, AConfigurationMaySayNo) {
  config::Vm vm;
  vm.balloon = false;
  EXPECT_EQ(BalloonExclusion(config::Config(), vm), "configuration");
}

TEST(BalloonExclusionTest, PassedThroughDevicesNeedTheMemoryAtItsPlace) {
  config::Vm vm;
  vm.pci_devices = {{.address = "0000:03:00.0"}};
  EXPECT_EQ(BalloonExclusion(config::Config(), vm), "passed-through devices");
}

TEST(BalloonExclusionTest, HugePagesDoNotComeBack) {
  EXPECT_EQ(ExclusionOf(Hypervisor::kCloudHypervisor,
                        {"--memory", "size=2G,hugepages=on"}),
            "huge pages");
  EXPECT_EQ(ExclusionOf(Hypervisor::kQemu, {"-mem-path", "/dev/hugepages"}),
            "huge pages");
  config::Config config;
  config.qemu.extra_args = {"-object",
                            "memory-backend-memfd,id=mem2,size=1G,hugetlb=on"};
  config::Vm vm;
  vm.hypervisor = Hypervisor::kQemu;
  EXPECT_EQ(BalloonExclusion(config, vm), "huge pages");
  // Another hypervisor's.
  vm.hypervisor = Hypervisor::kCrosvm;
  EXPECT_EQ(BalloonExclusion(config, vm), "");
}

}  // namespace
}  // namespace vmsilo::unitgen
