#include "config/layout.h"

#include <string>

#include "config/config.h"
#include "config/stable_hash.h"
#include "gtest/gtest.h"

namespace vmsilo::layout {
namespace {

TEST(LayoutTest, KeepsTheNamesThatOtherProgramsRelyOn) {
  EXPECT_EQ(CommandSocket("work"), "/run/vmsilo/work/command.socket");
  EXPECT_EQ(Console("work"), "/run/vmsilo/work/console");
  EXPECT_EQ(ControlSocketLink("work", config::Hypervisor::kCrosvm),
            "/run/vmsilo/work/crosvm-control.socket");
  EXPECT_EQ(ControlSocketLink("work", config::Hypervisor::kCloudHypervisor),
            "/run/vmsilo/work/cloud-hypervisor-control.socket");
  EXPECT_EQ(ControlSocketLink("work", config::Hypervisor::kQemu),
            "/run/vmsilo/work/qemu-control.socket");
  EXPECT_EQ(SocketUnit("work"), "vmsilo-work.socket");
  EXPECT_EQ(ProxyTemplate("work"), "vmsilo-work@.service");
  EXPECT_EQ(VmUnit("work"), "vmsilo-work-vm.service");
  EXPECT_EQ(VirtiofsdUnit("work", "music"),
            "vmsilo-work-virtiofsd-music.service");
}

TEST(LayoutTest, ControlSocketsLiveInTheHypervisorsOwnDirectory) {
  EXPECT_EQ(ControlSocket("a", config::Hypervisor::kCrosvm),
            CrosvmControlSocket("a"));
  EXPECT_EQ(ControlSocket("a", config::Hypervisor::kCloudHypervisor),
            CloudHypervisorControlSocket("a"));
  EXPECT_EQ(ControlSocket("a", config::Hypervisor::kQemu),
            QemuControlSocket("a"));
  EXPECT_EQ(QemuControlSocket("a"), "/run/vmsilo/a/vm/qemu-control.socket");
}

TEST(HypervisorUserTest, IsTheSilosNameWherePossible) {
  EXPECT_EQ(HypervisorUser("work"), "vmsilo-work");
  // 31 bytes in all are allowed.
  EXPECT_EQ(HypervisorUser(std::string(24, 'x')),
            "vmsilo-" + std::string(24, 'x'));
}

TEST(HypervisorUserTest, LongNamesAreCutAndKeptApart) {
  const std::string a = HypervisorUser(std::string(25, 'x'));
  const std::string b = HypervisorUser(std::string(26, 'x'));
  EXPECT_EQ(a.size(), 31u);
  EXPECT_EQ(b.size(), 31u);
  EXPECT_NE(a, b);
}

TEST(ProxyUserTest, IsNoHypervisors) {
  EXPECT_EQ(ProxyUser("work"), "vmsilo_proxy-work");
  EXPECT_LE(ProxyUser(std::string(40, 'x')).size(), 31u);
  EXPECT_NE(ProxyUser(std::string(40, 'x')), ProxyUser(std::string(41, 'x')));
  for (const char* other : {"proxy-work", "work-proxy", "proxy"}) {
    EXPECT_NE(ProxyUser("work"), HypervisorUser(other));
  }
}

TEST(HypervisorUserTest, DotsGoAndNamesStayApart) {
  const std::string dotted = HypervisorUser("a.b");
  EXPECT_EQ(dotted.find('.'), std::string::npos);
  EXPECT_NE(dotted, HypervisorUser("a_b"));
}

// CIDs of running silos depend on it: a change of the function would be a
// change of everybody's configuration.
TEST(StableHashTest, NeverChanges) {
  EXPECT_EQ(config::StableHash(""), 0xefd01f60ba992926u);
  EXPECT_EQ(config::StableHash("work"), 0x6c097861af61238du);
}

}  // namespace
}  // namespace vmsilo::layout
