#include "hypervisor/connect.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/socket.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::hypervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::TestWithParam;
using ::testing::ValuesIn;

struct Case {
  const char* name;
  const char* cgroup;
  bool is_of_unit;
};

class IsCgroupOfUnitTest : public TestWithParam<Case> {};

TEST_P(IsCgroupOfUnitTest, Table) {
  EXPECT_EQ(IsCgroupOfUnit(GetParam().cgroup, "vmsilo-work-vm.service"),
            GetParam().is_of_unit);
}

std::vector<Case> Cases() {
  return {
      {"Unified", "0::/system.slice/vmsilo-work-vm.service\n", true},
      {"OwnSlice", "0::/silos.slice/silos-a.slice/vmsilo-work-vm.service\n",
       true},
      {"Delegated", "0::/system.slice/vmsilo-work-vm.service/payload\n", true},
      {"InAContainer", "0::/payload/system.slice/vmsilo-work-vm.service\n",
       true},
      {"Legacy",
       "2:cpu,cpuacct:/\n1:name=systemd:/system.slice/"
       "vmsilo-work-vm.service\n",
       true},
      {"Other", "0::/system.slice/vmsilo-worker-vm.service\n", false},
      {"Prefix", "0::/system.slice/vmsilo-work-vm.service.d\n", false},
      {"OfAUser",
       "0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
       "vmsilo-work-vm.service\n",
       false},
      {"BelowAnother",
       "0::/system.slice/other.service/vmsilo-work-vm.service\n", false},
      {"OtherController", "3:cpu:/system.slice/vmsilo-work-vm.service\n",
       false},
      {"Root", "0::/\n", false},
      {"Empty", "", false},
      {"Nonsense", "vmsilo-work-vm.service", false},
  };
}

INSTANTIATE_TEST_SUITE_P(All, IsCgroupOfUnitTest, ValuesIn(Cases()),
                         [](const auto& test) {
                           return std::string(test.param.name);
                         });

TEST(CheckPeerUnitTest, NamesTheProcessAndTheUnit) {
  const TempDir dir;
  const auto listener = ListenUnix(dir.Path("socket"), 0600);
  ASSERT_THAT(listener, IsOk());
  const auto connection = ConnectUnix(dir.Path("socket"));
  ASSERT_THAT(connection, IsOk());
  EXPECT_THAT(CheckPeerUnit(connection->get(), "vmsilo-work-vm.service"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("not one of vmsilo-work-vm.service")));
}

}  // namespace
}  // namespace vmsilo::hypervisor
