#include "unitgen/explain.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Output Example() {
  Output output;
  output.files["systemd/system/vmsilo-work-sound.service"] =
      File{.content = "[Unit]\nAfter=a.target\nPartOf=vmsilo-work-vm.service\n",
           .reason = "plays the sound of silo 'work'",
           .keys = {"vms.work.sound.playback", "vms.work"}};
  output.files["systemd/system/vmsilo-work-sound.service.d/50-vmsilo.conf"] =
      File{.content = "[Service]\nMemoryMax=1G\n", .reason = "adds settings"};
  output.files["systemd/system/vmsilo-work-vm.service"] =
      File{.content =
               "[Unit]\nBindsTo=vmsilo-work-sound.service\n"
               "After=vmsilo-work-sound.service\n",
           .reason = "runs silo 'work'",
           .keys = {"vms.work"}};
  output.files["systemd/system/vmsilo-work@.service"] =
      File{.content = "[Unit]\n", .reason = "connects a program of 'work'"};
  output.files["systemd/system/x.target.wants/vmsilo-work-sound.service"] =
      File{.kind = File::Kind::kSymlink, .content = "../x"};
  output.files["tmpfiles.d/vmsilo.conf"] =
      File{.content = "d /run/vmsilo\n", .reason = "makes directories"};
  return output;
}

absl::StatusOr<std::string> ExplainIt(const char* name) {
  const Output output = Example();
  return Explain(output, *BuildGraph(output), name, [](absl::string_view key) {
    return key == "vms.work" ? std::string("/etc/x.toml:3:1")
                             : std::string("default");
  });
}

TEST(ExplainTest, SaysWhyFromWhatAndTiedToWhat) {
  EXPECT_THAT(ExplainIt("vmsilo-work-sound.service"),
              IsOkAndHolds(R"(vmsilo-work-sound.service
  exists       because it plays the sound of silo 'work'
  file         systemd/system/vmsilo-work-sound.service
  drop-in      systemd/system/vmsilo-work-sound.service.d/50-vmsilo.conf
  options      vms.work.sound.playback  default
               vms.work                 /etc/x.toml:3:1
  started by   x.target
  required by  vmsilo-work-vm.service
  part of      vmsilo-work-vm.service
  after        a.target
  before       vmsilo-work-vm.service
)"));
}

TEST(ExplainTest, FindsWhatIsMeant) {
  EXPECT_THAT(ExplainIt("vmsilo-work-vm"),
              IsOkAndHolds(StartsWith("vmsilo-work-vm.service\n")));
  EXPECT_THAT(ExplainIt("vmsilo-work@3-17-0.service"),
              IsOkAndHolds(StartsWith("vmsilo-work@.service\n")));
  EXPECT_THAT(ExplainIt("vmsilo-work@"),
              IsOkAndHolds(StartsWith("vmsilo-work@.service\n")));
  EXPECT_THAT(ExplainIt("vmsilo.conf"),
              IsOkAndHolds(HasSubstr("because it makes directories\n")));
  EXPECT_THAT(ExplainIt("tmpfiles.d/vmsilo.conf"), IsOk());
}

TEST(ExplainTest, SaysWhatMayBeMeant) {
  EXPECT_THAT(ExplainIt("vmsilo-work-sond.service").status(),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("'vmsilo-work-sond.service'"),
                             HasSubstr("mean 'vmsilo-work-sound.service'"))));
  EXPECT_THAT(
      ExplainIt("x").status(),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("vmsilo-unitgen list")));
}

TEST(ListTest, ShowsNamesWithReasonsOrPaths) {
  EXPECT_EQ(List(Example(), /*paths=*/false),
            "vmsilo-work-sound.service                   plays the sound of "
            "silo 'work'\n"
            "vmsilo-work-sound.service.d/50-vmsilo.conf  adds settings\n"
            "vmsilo-work-vm.service                      runs silo 'work'\n"
            "vmsilo-work@.service                        connects a program of "
            "'work'\n"
            "tmpfiles.d/vmsilo.conf                      makes directories\n");
  EXPECT_THAT(List(Example(), /*paths=*/true),
              AllOf(HasSubstr("systemd/system/x.target.wants/vmsilo-work-sound"
                              ".service\n"),
                    HasSubstr("tmpfiles.d/vmsilo.conf\n")));
}

}  // namespace
}  // namespace vmsilo::unitgen
