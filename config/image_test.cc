#include "config/image.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Errors(absl::string_view text) {
  std::vector<std::string> texts;
  for (const Diagnostic& one : ParseImage("image.toml", text).diagnostics) {
    EXPECT_EQ(one.severity, Severity::kError);
    texts.push_back(ToString(one));
  }
  return texts;
}

TEST(ParseImageTest, AnEmptyDescriptionSaysWhatNoneSays) {
  const ParsedImage parsed = ParseImage("image.toml", "");
  EXPECT_THAT(parsed.diagnostics, IsEmpty());
  Image image;
  image.is_from_file = true;
  EXPECT_EQ(parsed.image, image);
  EXPECT_EQ(image.kernel, "vmlinuz");
  EXPECT_EQ(image.initrd, "initrd");
  EXPECT_EQ(image.root_disk, "root.img");
}

TEST(ParseImageTest, ReadsEveryKey) {
  const ParsedImage parsed = ParseImage("image.toml",
                                        "description = \"Debian 12\"\n"
                                        "hypervisors = [\"qemu\"]\n"
                                        "kernel = \"boot/vmlinuz 6.1\"\n"
                                        "initrd = false\n"
                                        "rootDisk = \"debian..qcow2\"\n"
                                        "rootDiskFormat = \"qcow2\"\n"
                                        "kernelParams = [\"quiet\", \"a=b\"]");
  EXPECT_THAT(parsed.diagnostics, IsEmpty());
  EXPECT_EQ(parsed.image.description, "Debian 12");
  EXPECT_THAT(parsed.image.hypervisors, ElementsAre(Hypervisor::kQemu));
  EXPECT_EQ(parsed.image.kernel, "boot/vmlinuz 6.1");
  EXPECT_EQ(parsed.image.initrd, std::nullopt);
  EXPECT_EQ(parsed.image.root_disk, "debian..qcow2");
  EXPECT_EQ(parsed.image.root_disk_format, DiskFormat::kQcow2);
  EXPECT_THAT(parsed.image.kernel_params, ElementsAre("quiet", "a=b"));
}

TEST(ParseImageTest, AllErrorsAtOnceWithTheirPlaces) {
  EXPECT_THAT(
      Errors("kernal = \"x\"\n"
             "initrd = true\n"
             "rootDiskFormat = \"vmdk\"\n"
             "hypervisors = [\"qemu\", \"xen\"]\n"
             "kernelParams = [\"a\\nb\"]\n"),
      ElementsAre(
          "image.toml:1:1: error: kernal: unknown key; did you mean "
          "'kernel'?",
          "image.toml:2:10: error: initrd: expected false, or a file's name, "
          "not true",
          "image.toml:3:18: error: rootDiskFormat: expected \"raw\" or "
          "\"qcow2\", not 'vmdk'",
          "image.toml:4:24: error: hypervisors[1]: expected \"crosvm\", "
          "\"cloud-hypervisor\" or \"qemu\", not 'xen'",
          HasSubstr("image.toml:5:17: error: kernelParams[0]: expected")));
}

TEST(ParseImageTest, SyntaxErrorsAndDuplicatesAreErrors) {
  EXPECT_THAT(Errors("kernel = \n"), ElementsAre(HasSubstr("image.toml:1:")));
  EXPECT_THAT(Errors("initrd = \"a\"\ninitrd = \"b\"\n"),
              ElementsAre(HasSubstr("image.toml:2:")));
}

TEST(ParseImageTest, FilesCannotBeOutsideOfTheImage) {
  for (const char* key : {"kernel", "initrd", "rootDisk"}) {
    for (const char* file : {"..", "../x", "a/../../x", "a/..", "./x", ".",
                             "a//b", "a/", "", "a\\u0000", "a\\n"}) {
      EXPECT_THAT(Errors(absl::StrCat(key, " = \"", file, "\"")),
                  ElementsAre(HasSubstr("expected an absolute path, or the "
                                        "name of a file in the image's")))
          << key << " " << file;
    }
    EXPECT_THAT(Errors(absl::StrCat(key, " = \"/dev/sda\"")),
                ElementsAre(HasSubstr("names files of its own directory only")))
        << key;
  }
}

}  // namespace
}  // namespace vmsilo::config
