#include "unitgen/install_report.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(InstallReportTest, CountsWhatWasDone) {
  InstallPlan plan;
  plan.unchanged = 1;
  EXPECT_EQ(DescribeInstall(plan),
            "nothing to do: 1 file is as the configuration says");
  plan.create = {"a"};
  plan.replace = {"b", "c"};
  plan.remove = {"d"};
  EXPECT_EQ(DescribeInstall(plan),
            "1 file made, 2 files replaced, 1 file removed, 1 file unchanged");
}

TEST(InstallReportTest, NamesEachFileThatWasLeftAlone) {
  InstallPlan plan;
  plan.kept = {{"etc/a", KeptFile::Why::kForeign},
               {"etc/b", KeptFile::Why::kChanged},
               {"etc/c", KeptFile::Why::kChangedAndObsolete}};
  EXPECT_THAT(
      DescribeKept(plan, "/"),
      ElementsAre(AllOf(StartsWith("/etc/a "), HasSubstr("not made by")),
                  AllOf(StartsWith("/etc/b "), HasSubstr("was changed")),
                  AllOf(StartsWith("/etc/c "), HasSubstr("no longer"))));
  EXPECT_THAT(DescribeKept(plan, "/srv/image").front(),
              StartsWith("/srv/image/etc/a "));
}

TEST(InstallReportTest, NoStepsWithoutChanges) {
  EXPECT_THAT(NextSteps(InstallPlan()), IsEmpty());
}

TEST(InstallReportTest, StepsAreInTheOrderInWhichTheyWork) {
  InstallPlan plan;
  plan.create = {
      "etc/polkit-1/rules.d/50-vmsilo.rules",
      "etc/systemd/network/50-vmsilo-br0.netdev",
      "etc/systemd/system/multi-user.target.wants/vmsilo-balloond.service",
      "etc/systemd/system/sockets.target.wants/vmsilo-work.socket",
      "etc/systemd/system/vmsilo-work-vm.service",
      "etc/systemd/system/vmsilo-work-vm.service.requires/vmsilo-x.service",
      "etc/systemd/user/vmsilo-work-session-bind.service",
      "etc/tmpfiles.d/vmsilo.conf",
  };
  plan.remove = {
      "etc/systemd/system/sockets.target.wants/vmsilo-old.socket",
      "etc/systemd/system/vmsilo-old.socket",
      "etc/systemd/system/vmsilo-old@.service",
  };
  EXPECT_THAT(
      NextSteps(plan),
      ElementsAre(
          StartsWith("systemctl stop 'vmsilo-old@*' vmsilo-old.socket "),
          "systemctl daemon-reload",
          "systemd-tmpfiles --create /etc/tmpfiles.d/vmsilo.conf",
          "networkctl reload", StartsWith("systemctl --user daemon-reload "),
          "systemctl start vmsilo-balloond.service vmsilo-work.socket"));
}

TEST(InstallReportTest, UnitsThatRunWithTheirOldTextAreNamed) {
  InstallPlan plan;
  plan.create = {
      "etc/systemd/system/vmsilo-a-vm.service.d/50-vmsilo.conf",
      "etc/systemd/system/vmsilo-new-vm.service",
      "etc/systemd/system/vmsilo-new-vm.service.d/50-vmsilo.conf",
  };
  plan.replace = {"etc/systemd/system/vmsilo-b.socket",
                  "etc/systemd/system/vmsilo-b@.service",
                  "etc/systemd/system/x.target.wants/vmsilo-b.socket"};
  EXPECT_THAT(
      NextSteps(plan),
      ElementsAre("systemctl daemon-reload",
                  StartsWith("systemctl try-restart vmsilo-a-vm.service "
                             "vmsilo-b.socket  ")));
}

TEST(InstallReportTest, ARemovedTmpfilesRuleHasNothingToCreate) {
  InstallPlan plan;
  plan.remove = {"etc/tmpfiles.d/vmsilo.conf"};
  EXPECT_THAT(NextSteps(plan), IsEmpty());
}

}  // namespace
}  // namespace vmsilo::unitgen
