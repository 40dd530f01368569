#include "unitgen/generate.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/output.h"
#include "unitgen/testing/golden_cases.h"
#include "unitgen/unit_file.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::string_view kSystem = "systemd/system/";

config::Config MakeConfig() {
  config::Config config;
  config.user = {.name = "alice",
                 .uid = 1000,
                 .gid = 1000,
                 .group = "alice",
                 .home = "/home/alice"};
  config::Vm vm;
  vm.name = "work";
  vm.cid = 77;
  vm.gpu->log_level = "info";
  config.vms.push_back(vm);
  return config;
}

std::string UnitText(const config::Config& config, absl::string_view name) {
  const absl::StatusOr<Output> output = Generate(config, {});
  EXPECT_THAT(output, IsOk());
  if (!output.ok()) return "";
  const auto found = output->files.find(absl::StrCat(kSystem, name));
  return found == output->files.end() ? "" : found->second.content;
}

// The assignments of each system unit of a case, by the unit's name.
std::map<std::string, std::vector<Assignment>> Units(const Output& output) {
  std::map<std::string, std::vector<Assignment>> units;
  for (const auto& [path, file] : output.files) {
    if (file.kind != File::Kind::kRegular || !absl::StartsWith(path, kSystem)) {
      continue;
    }
    const auto assignments = ParseUnitFile(file.content);
    EXPECT_THAT(assignments, IsOk()) << path;
    if (assignments.ok()) units[path.substr(kSystem.size())] = *assignments;
  }
  return units;
}

std::set<std::string> Named(const std::vector<Assignment>& unit,
                            absl::string_view key) {
  std::set<std::string> names;
  for (const Assignment& assignment : unit) {
    if (assignment.key != key) continue;
    for (const std::string& name : UnitNames(assignment.value)) {
      names.insert(name);
    }
  }
  return names;
}

TEST(GenerateTest, NothingWhenSwitchedOff) {
  config::Config config = MakeConfig();
  config.enable = false;
  const absl::StatusOr<Output> output = Generate(config, {});
  ASSERT_THAT(output, IsOk());
  EXPECT_THAT(output->files, IsEmpty());
  config.enable = true;
  config.vms.clear();
  EXPECT_THAT(Generate(config, {})->files, IsEmpty());
}

TEST(GenerateTest, RefusesTwoUnitsOfOneName) {
  config::Config config = MakeConfig();
  config.vms.push_back(config.vms[0]);
  config.vms[1].name = "work-virtiofsd";
  config.vms[0].shared_directories = {{.tag = "vm", .path = "/srv/x"}};
  EXPECT_THAT(Generate(config, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("vmsilo-work-virtiofsd-vm.service"),
                             HasSubstr("shares '/srv/x' with silo 'work'"),
                             HasSubstr("runs silo 'work-virtiofsd'"))));
}

TEST(GenerateTest, RefusesProgramsThatSystemdCannotStart) {
  config::Config config = MakeConfig();
  config.paths.crosvm = "/opt/it's/crosvm";
  config.paths.proxy = "proxy";
  EXPECT_THAT(Generate(config, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("paths.crosvm: "),
                             HasSubstr("\npaths.proxy: "))));
}

TEST(GenerateTest, RefusesDisksThatAServiceCannotBeGiven) {
  config::Config config = MakeConfig();
  config.vms[0].disks = {{.path = "/srv/'\"/disk"}};
  EXPECT_THAT(Generate(config, {}), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("vms.work.disks: ")));
}

TEST(GenerateTest, AGeneratorWritesSystemUnitsOnly) {
  const absl::StatusOr<Output> output =
      Generate(MakeConfig(), {.is_generator = true});
  ASSERT_THAT(output, IsOk());
  for (const auto& [path, file] : output->files) {
    EXPECT_TRUE(absl::StartsWith(path, kSystem)) << path;
  }
  EXPECT_EQ(output->files.count("systemd/system/vmsilo-directories.service"),
            1u);
}

TEST(GenerateTest, RootNeverFollowsALinkOfABackEnds) {
  EXPECT_THAT(UnitText(MakeConfig(), "vmsilo-work-vm.service"),
              HasSubstr("ExecStartPre=+/usr/libexec/vmsilo/vmsilo-prepare give "
                        "--to vmsilo-work -- "
                        "/run/vmsilo/work/console-backend.socket "
                        "/run/vmsilo/work/gpu/gpu.socket "
                        "/run/vmsilo/work/sound/sound.socket\n"));
}

TEST(GenerateTest, ARootHypervisorNeedsNoHandingOver) {
  config::Config config = MakeConfig();
  config.crosvm.run_as_root = true;
  config.vms[0].disks = {{.path = "/srv/disk"}};
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              AllOf(Not(HasSubstr("vmsilo-prepare give")),
                    Not(HasSubstr("DynamicUser")), HasSubstr("--owner 0:0")));
}

TEST(GenerateTest, ARootHypervisorIsNotLedAstray) {
  config::Config config = MakeConfig();
  config.crosvm.run_as_root = true;
  config.vms[0].kernel = "/srv/kernel";
  config.vms[0].initrd = "/srv/initrd";
  config.vms[0].root_disk = {.path = "/srv/root"};
  config.vms[0].disks = {{.path = "/srv/disk"}};
  EXPECT_THAT(
      UnitText(config, "vmsilo-work-vm.service"),
      HasSubstr("ExecStartPre=/usr/libexec/vmsilo/vmsilo-prepare check-path -- "
                "/srv/kernel /srv/initrd /srv/root /srv/disk\n"));
}

// The guest is root in its own machine, and whoever it wants to be.
TEST(GenerateTest, AShareGivesTheGuestTheUsersRightsOnly) {
  config::Config config = MakeConfig();
  config.vms[0].shared_directories = {{.tag = "notes", .path = "/notes"}};
  EXPECT_THAT(UnitText(config, "vmsilo-work-virtiofsd-notes.service"),
              AllOf(HasSubstr("User=alice\n"),
                    HasSubstr(" --uid-map :0:1000:1: "
                              "--translate-uid squash-guest:0:0:4294967295 "
                              "--translate-uid host:0:1000:1 "),
                    HasSubstr(" --translate-gid squash-guest:0:0:4294967295 "),
                    HasSubstr("CapabilityBoundingSet=\n"),
                    HasSubstr("RestrictSUIDSGID=yes\n")));
}

TEST(GenerateTest, AShareOfRootsMakesNeitherDevicesNorPrivileges) {
  config::Config config = MakeConfig();
  config.vms[0].shared_directories = {
      {.tag = "srv", .path = "/srv/x", .run_as_root = true}};
  EXPECT_THAT(UnitText(config, "vmsilo-work-virtiofsd-srv.service"),
              AllOf(Not(HasSubstr("User=")), Not(HasSubstr("CAP_MKNOD")),
                    Not(HasSubstr("CAP_SETFCAP")),
                    HasSubstr("--modcaps=-mknod:-setfcap"),
                    HasSubstr("RestrictSUIDSGID=yes\n"),
                    HasSubstr("ExecStartPre=/usr/libexec/vmsilo/vmsilo-prepare "
                              "check-path -- /srv/x\n")));
}

TEST(GenerateTest, ProxiesAreNotTheHypervisorsUser) {
  config::Config config = MakeConfig();
  EXPECT_THAT(
      UnitText(config, "vmsilo-work@.service"),
      AllOf(HasSubstr("User=vmsilo_proxy-work\n"), Not(HasSubstr("Group="))));
  config.vms[0].hypervisor = config::Hypervisor::kCloudHypervisor;
  EXPECT_THAT(UnitText(config, "vmsilo-work@.service"),
              AllOf(HasSubstr("User=vmsilo_proxy-work\n"),
                    HasSubstr("Group=vmsilo-work\n")));
  // Whose rights its umask would take.
  EXPECT_THAT(
      UnitText(config, "vmsilo-work-vm.service"),
      AllOf(HasSubstr("UMask=0007\n"), HasSubstr("SystemCallFilter=~umask\n")));
}

TEST(GenerateTest, DevicesAreAllowedAndFilesChangeHands) {
  config::Config config = MakeConfig();
  config.vms[0].disks = {{.path = "/srv/disk"},
                         {.path = "/srv/read", .read_only = true},
                         {.path = "/dev/vg/a b", .read_only = true}};
  EXPECT_THAT(
      UnitText(config, "vmsilo-work-vm.service"),
      AllOf(HasSubstr("SupplementaryGroups=kvm disk\n"),
            HasSubstr("DeviceAllow=\"/dev/vg/a b\" r\n"),
            HasSubstr("vmsilo-prepare give --to vmsilo-work -- /srv/disk "),
            HasSubstr("ExecStopPost=+/usr/libexec/vmsilo/vmsilo-prepare "
                      "take-back --from vmsilo-work -- /srv/disk\n"),
            HasSubstr("ReadWritePaths=/run/vmsilo/work "
                      "/var/lib/vmsilo/overlays /srv/disk\n")));
}

TEST(GenerateTest, HomesAreVisibleOnlyToSilosThatBootFromThem) {
  config::Config config = MakeConfig();
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              HasSubstr("ProtectHome=yes\n"));
  config.vms[0].kernel = "/home/alice/vmlinuz";
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              HasSubstr("ProtectHome=read-only\n"));
}

// QMP on a control socket opens any file that the hypervisor may.
TEST(GenerateTest, TheUserReachesTheConsoleAndNoOtherSocket) {
  config::Config config = MakeConfig();
  config::Vm& vm = config.vms[0];
  const auto text = [&config] {
    return UnitText(config, "vmsilo-work-vm.service");
  };
  // crosvm comes to the relay.
  EXPECT_THAT(text(), AllOf(HasSubstr("StandardInput=null\n"),
                            HasSubstr("RuntimeDirectory=vmsilo/work/vm\n")));
  vm.hypervisor = config::Hypervisor::kCloudHypervisor;
  EXPECT_THAT(text(),
              AllOf(HasSubstr("RuntimeDirectory=vmsilo/work/vm "
                              "vmsilo/work/vm/console\n"),
                    HasSubstr("=a+ /run/vmsilo/work/vm - - - - user:1000:x\n"),
                    HasSubstr("=a+ /run/vmsilo/work/vm/console - - - - "
                              "user:1000:x,default:user:1000:rw\n"),
                    HasSubstr("SystemCallFilter=~umask\n")));
  vm.console.mode = config::ConsoleMode::kFile;
  EXPECT_THAT(text(), HasSubstr("=a+ /run/vmsilo/work/vm/console - - - - "
                                "user:1000:x,default:user:1000:r\n"));
  vm.console.mode = config::ConsoleMode::kOff;
  EXPECT_THAT(text(), AllOf(HasSubstr("StandardInput=null\n"),
                            HasSubstr("RuntimeDirectory=vmsilo/work/vm\n")));
}

// crosvm would not start if nobody listened, and the silo needs no console.
TEST(GenerateTest, SystemdListensToCrosvmForTheRelay) {
  config::Config config = MakeConfig();
  EXPECT_THAT(UnitText(config, "vmsilo-work-console-relay.socket"),
              AllOf(HasSubstr("ListenStream=/run/vmsilo/work/"
                              "console-backend.socket\n"
                              "FileDescriptorName=backend\n"),
                    HasSubstr("StopWhenUnneeded=yes\n"),
                    HasSubstr("RemoveOnStop=yes\n")));
  EXPECT_THAT(UnitText(config, "vmsilo-work-console-relay.service"),
              AllOf(HasSubstr("Requires=vmsilo-work-console-relay.socket\n"),
                    HasSubstr("After=vmsilo-work-console-relay.socket\n")));
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              AllOf(ContainsRegex("\nWants=[^\n]*"
                                  "vmsilo-work-console-relay\\.socket"),
                    ContainsRegex("\nAfter=[^\n]*"
                                  "vmsilo-work-console-relay\\.socket")));
  config.vms[0].hypervisor = config::Hypervisor::kQemu;
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              Not(HasSubstr("console-relay.socket")));
}

TEST(GenerateTest, AConsolesLogIsTheUsersAndItsDirectoryToo) {
  config::Config config = MakeConfig();
  const auto text = [&config] {
    return UnitText(config, "vmsilo-work-console-relay.service");
  };
  EXPECT_THAT(text(), AllOf(HasSubstr(" --scrollback 1M\n"),
                            HasSubstr("MemoryMax=129M\n"),
                            Not(HasSubstr("LogsDirectory"))));
  config.vms[0].console = {
      .scrollback = Bytes(MiB(256).count() - 1),
      .log = config::ConsoleLog{
          .max_size = KiB(4), .max_backups = 0, .timestamps = true}};
  EXPECT_THAT(text(),
              AllOf(HasSubstr(" --log /var/log/vmsilo/work/console/console.log "
                              "--log-size 4K --log-files 0 --log-timestamps\n"),
                    HasSubstr("User=alice\n"),
                    HasSubstr("LogsDirectory=vmsilo/work/console\n"
                              "LogsDirectoryMode=0700\n"),
                    HasSubstr("MemoryMax=384M\n")));
}

// A silo with TAPs is in the host's network namespace.
TEST(GenerateTest, AHypervisorHasNoIpNetwork) {
  config::Config config = MakeConfig();
  config.vms[0].network.interfaces.push_back({.name = "lan"});
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              AllOf(HasSubstr("IPAddressDeny=any\n"),
                    Not(HasSubstr("PrivateNetwork"))));
  // Arguments of one's own may be such a network.
  config.vms[0].extra_args = {"--vnc"};
  EXPECT_THAT(UnitText(config, "vmsilo-work-vm.service"),
              Not(HasSubstr("IPAddressDeny")));
}

TEST(GenerateTest, UsbTemplatesAreForSilosWithUsbDevices) {
  config::Config config = MakeConfig();
  EXPECT_EQ(UnitText(config, "vmsilo-usb-attach@.service"), "");
  config.vms[0].usb_devices = {{.vendor_id = "1050", .product_id = "0407"}};
  EXPECT_NE(UnitText(config, "vmsilo-usb-attach@.service"), "");
  EXPECT_NE(UnitText(config, "vmsilo-usb-detach@.service"), "");
}

class CasesTest : public testing::TestWithParam<GoldenCase> {
 protected:
  void SetUp() override {
    const absl::StatusOr<Output> output =
        Generate(LoadGoldenCase(GetParam()), GetParam().mode);
    ASSERT_THAT(output, IsOk());
    output_ = *output;
    units_ = Units(output_);
  }

  Output output_;
  std::map<std::string, std::vector<Assignment>> units_;
};

TEST_P(CasesTest, EveryFileSaysWhyItExists) {
  for (const auto& [path, file] : output_.files) {
    EXPECT_NE(file.reason, "") << path;
    EXPECT_THAT(file.keys, Not(IsEmpty())) << path;
    EXPECT_FALSE(absl::EndsWith(file.reason, ".")) << path;
  }
}

TEST_P(CasesTest, NoShell) {
  for (const auto& [name, unit] : units_) {
    for (const Assignment& assignment : unit) {
      if (!absl::StartsWith(assignment.key, "Exec")) continue;
      EXPECT_FALSE(absl::StrContains(assignment.value, "/sh ")) << name;
      EXPECT_FALSE(absl::StrContains(assignment.value, "bash")) << name;
    }
  }
}

// Units of ours that are named exist, and whoever needs one at its start comes
// after it.
TEST_P(CasesTest, DependenciesAreThereAndOrdered) {
  for (const auto& [name, unit] : units_) {
    const std::set<std::string> after = Named(unit, "After");
    for (const char* key : {"Requires", "BindsTo", "Wants", "After"}) {
      for (const std::string& other : Named(unit, key)) {
        if (!absl::StartsWith(other, "vmsilo-")) continue;
        EXPECT_EQ(units_.count(other), 1u) << name << " " << key << other;
      }
    }
    for (const char* key : {"Requires", "BindsTo"}) {
      for (const std::string& other : Named(unit, key)) {
        EXPECT_EQ(after.count(other), 1u) << name << " is not after " << other;
      }
    }
  }
}

// A back end ends with its connection: `systemctl restart` of a VM would find
// it gone, and fail.
TEST_P(CasesTest, WhatAVmIsBoundToRestartsWithIt) {
  for (const auto& [name, unit] : units_) {
    if (!absl::EndsWith(name, "-vm.service")) continue;
    for (const std::string& other : Named(unit, "BindsTo")) {
      EXPECT_EQ(Named(units_[other], "PartOf").count(name), 1u)
          << other << " is not part of " << name;
    }
  }
}

// An automatic restart is a restart of everything that requires the unit.
TEST_P(CasesTest, NothingThatAVmNeedsRestartsByItself) {
  std::set<std::string> needed;
  for (const auto& [name, unit] : units_) {
    if (!absl::EndsWith(name, "-vm.service")) continue;
    std::vector<std::string> open = {name};
    while (!open.empty()) {
      const std::string next = open.back();
      open.pop_back();
      for (const char* key : {"Requires", "BindsTo"}) {
        for (const std::string& other : Named(units_[next], key)) {
          if (needed.insert(other).second && units_.count(other) != 0) {
            open.push_back(other);
          }
        }
      }
    }
  }
  for (const std::string& name : needed) {
    for (const Assignment& assignment : units_[name]) {
      EXPECT_NE(assignment.key, "Restart") << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CasesTest, testing::ValuesIn(GoldenCases()),
                         [](const auto& test) { return test.param.name; });

TEST(GenerateTest, AVmWaitsForTheDisksThatItsFilesAreOn) {
  config::Config config = MakeConfig();
  EXPECT_THAT(
      UnitText(config, "vmsilo-work-vm.service"),
      AllOf(HasSubstr("\nRequiresMountsFor=/var/lib/vmsilo/images/default "
                      "/var/lib/vmsilo/overlays/work.raw\n"),
            Not(HasSubstr("AssertPathExists"))));
  config::Vm& vm = config.vms[0];
  vm.kernel = "/srv/a b/vmlinuz";
  vm.image.reset();
  vm.root_disk = config::Disk{.path = "/dev/vg/root"};
  vm.root_overlay.type = config::OverlayType::kTmpfs;
  vm.disks = {{.path = "/data/50%"}};
  EXPECT_THAT(
      UnitText(config, "vmsilo-work-vm.service"),
      HasSubstr("\nRequiresMountsFor=\"/srv/a b/vmlinuz\" \"/data/50%%\"\n"));
}

TEST(GenerateTest, AGeneratorsUnitRefusesADescriptionThatItWasMadeWithout) {
  const std::string kAssert =
      "\nAssertPathExists=!/var/lib/vmsilo/images/default/image.toml\n";
  config::Config config = MakeConfig();
  const auto text = [&config] {
    const absl::StatusOr<Output> output =
        Generate(config, {.is_generator = true});
    EXPECT_THAT(output, IsOk());
    return output->files.at("systemd/system/vmsilo-work-vm.service").content;
  };
  EXPECT_THAT(text(), HasSubstr(kAssert));
  config.images = {{.name = "default"}};
  EXPECT_THAT(text(), Not(HasSubstr("AssertPathExists")));
  config.images.clear();
  config.vms[0].kernel = "/boot/vmlinuz";
  config.vms[0].image.reset();
  EXPECT_THAT(text(), Not(HasSubstr("AssertPathExists")));
}

}  // namespace
}  // namespace vmsilo::unitgen
