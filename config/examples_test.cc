// What is shown to people loads, and says what it means.

#include <string>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/load.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

LoadResult LoadExample(const std::string& name) {
  LoadResult result = Load({.file = "examples/" + name});
  for (const Diagnostic& diagnostic : result.diagnostics) {
    if (diagnostic.severity != Severity::kNote) {
      ADD_FAILURE() << ToString(diagnostic);
    }
  }
  EXPECT_TRUE(result.ok());
  return result;
}

TEST(ExamplesTest, TheDemoHasTwoPlainSilos) {
  const LoadResult result = LoadExample("demo.toml");
  EXPECT_THAT(result.diagnostics, IsEmpty());
  ASSERT_TRUE(result.ok());
  ASSERT_THAT(result.config->vms, SizeIs(2));
  for (const Vm& vm : result.config->vms) {
    EXPECT_EQ(vm.hypervisor, Hypervisor::kQemu);
    EXPECT_EQ(vm.console.mode, ConsoleMode::kFile);
    EXPECT_FALSE(vm.gpu.has_value());
    EXPECT_FALSE(vm.sound.enabled());
    EXPECT_FALSE(vm.tray.enable);
    EXPECT_THAT(vm.shared_directories, IsEmpty());
    EXPECT_THAT(vm.usb_devices, IsEmpty());
    EXPECT_LE(vm.memory, MiB(256));
    EXPECT_FALSE(vm.uses_image());
  }
}

TEST(ExamplesTest, FullHasEverything) {
  const LoadResult result = LoadExample("full.toml");
  EXPECT_THAT(result.diagnostics, IsEmpty());
  ASSERT_TRUE(result.ok());
  ASSERT_THAT(result.config->vms, SizeIs(4));
  const Vm& work = *result.config->FindVm("work");
  EXPECT_THAT(work.shared_directories, SizeIs(3));
  EXPECT_THAT(work.usb_devices, SizeIs(2));
  EXPECT_TRUE(work.tray.enable);
  EXPECT_TRUE(work.sound.capture);
  EXPECT_EQ(work.color, "#4682b4");
  EXPECT_THAT(result.config->units, SizeIs(2));
}

TEST(ExamplesTest, CloudHypervisorHasNoWarnings) {
  const LoadResult result = LoadExample("cloud-hypervisor.toml");
  EXPECT_THAT(result.diagnostics, IsEmpty());
  ASSERT_TRUE(result.ok());
  for (const Vm& vm : result.config->vms) {
    EXPECT_EQ(vm.hypervisor, Hypervisor::kCloudHypervisor);
  }
}

TEST(ExamplesTest, ThePrototypesOptionsLoadWithNotesOnly) {
  const LoadResult result = LoadExample("prototype.json");
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result.diagnostics,
              Each(testing::Field(&Diagnostic::severity, Severity::kNote)));
  // One for each option that has no effect.
  EXPECT_THAT(result.diagnostics, SizeIs(11));
  ASSERT_THAT(result.config->vms, SizeIs(3));
  const Vm& banking = *result.config->FindVm("banking");
  EXPECT_EQ(banking.memory, GiB(4));
  EXPECT_EQ(banking.color, "#008000");
  EXPECT_THAT(banking.shared_directories, SizeIs(2));
  EXPECT_TRUE(banking.uses_image());
}

}  // namespace
}  // namespace vmsilo::config
