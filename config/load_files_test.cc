// Which files are read, and what happens to those that cannot be.

#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/image.h"
#include "config/load.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LoadFilesTest : public testing::Test {
 protected:
  LoadFilesTest() {
    for (const char* directory :
         {"/etc", "/etc/vmsilo", "/etc/vmsilo/vmsilo.toml.d", "/usr",
          "/usr/lib", "/usr/lib/vmsilo", "/usr/lib/vmsilo/vmsilo.toml.d"}) {
      mkdir(absl::StrCat(root_.path(), directory).c_str(), 0755);
    }
    Write("/etc/passwd", "alice:x:1000:100::/home/alice:/bin/sh\n");
    Write("/etc/group", "users:x:100:\n");
  }

  void Write(absl::string_view path, absl::string_view text) {
    ASSERT_THAT(
        WriteFileAtomically(absl::StrCat(root_.path(), path), text, 0644),
        IsOk());
  }

  LoadResult LoadAll() { return Load({.root = std::string(root_.path())}); }

  // Without the root.
  std::vector<std::string> Shortened(std::vector<std::string> texts) {
    for (std::string& text : texts) {
      if (text.compare(0, root_.path().size(), root_.path()) == 0) {
        text.erase(0, root_.path().size());
      }
    }
    return texts;
  }
  std::vector<std::string> Texts(const LoadResult& result) {
    std::vector<std::string> texts;
    for (const Diagnostic& diagnostic : result.diagnostics) {
      texts.push_back(ToString(diagnostic));
    }
    return Shortened(texts);
  }

  TempDir root_;
};

TEST_F(LoadFilesTest, VendorsFilesComeFirstThenTheMainFileThenDropIns) {
  Write("/usr/lib/vmsilo/vmsilo.toml", "user = \"bob\"\n[vms.a]\ncpus = 1\n");
  Write("/usr/lib/vmsilo/vmsilo.toml.d/50-x.toml", "[vms.a]\ncpus = 2\n");
  Write("/etc/vmsilo/vmsilo.toml", "user = \"alice\"\n[vms.a]\ncpus = 3\n");
  Write("/etc/vmsilo/vmsilo.toml.d/20-b.json",
        "{\"vms\":{\"a\":{\"cpus\":5}}}");
  Write("/etc/vmsilo/vmsilo.toml.d/10-a.toml", "[vms.a]\ncpus = 4\n");
  Write("/etc/vmsilo/vmsilo.toml.d/.hidden.toml", "x = 1\n");
  Write("/etc/vmsilo/vmsilo.toml.d/10-a.toml~", "x = 1\n");
  Write("/etc/vmsilo/vmsilo.toml.d/README", "x = 1\n");
  const LoadResult result = LoadAll();
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_THAT(Shortened(result.files),
              ElementsAre("/usr/lib/vmsilo/vmsilo.toml",
                          "/usr/lib/vmsilo/vmsilo.toml.d/50-x.toml",
                          "/etc/vmsilo/vmsilo.toml",
                          "/etc/vmsilo/vmsilo.toml.d/10-a.toml",
                          "/etc/vmsilo/vmsilo.toml.d/20-b.json"));
  EXPECT_EQ(result.config->FindVm("a")->cpus, 5u);
  EXPECT_EQ(result.config->user.uid, 1000u);
}

TEST_F(LoadFilesTest, AJsonFileTakesTheMainFilesPlace) {
  Write("/etc/vmsilo/vmsilo.json", "{\"user\":\"alice\"}");
  EXPECT_TRUE(LoadAll().ok());
  Write("/etc/vmsilo/vmsilo.toml", "user = 1\n");
  EXPECT_FALSE(LoadAll().ok());
}

TEST_F(LoadFilesTest, WithoutAnyFileThereIsOneError) {
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre("/etc/vmsilo/vmsilo.toml: error: there is no such "
                          "file; vmsilo.toml(5) says what belongs into it"));
}

TEST_F(LoadFilesTest, WhatIsNoFileIsNotWaitedFor) {
  ASSERT_EQ(
      mkfifo(absl::StrCat(root_.path(), "/etc/vmsilo/vmsilo.toml").c_str(),
             0644),
      0);
  ASSERT_EQ(mkdir(absl::StrCat(root_.path(), "/etc/vmsilo/vmsilo.toml.d/x.toml")
                      .c_str(),
                  0755),
            0);
  EXPECT_THAT(
      Texts(LoadAll()),
      ElementsAre("/etc/vmsilo/vmsilo.toml: error: it is not a regular file",
                  "/etc/vmsilo/vmsilo.toml.d/x.toml: error: it is not a "
                  "regular file"));
}

TEST_F(LoadFilesTest, ANamedFileHasItsOwnDropIns) {
  Write("/etc/vmsilo/vmsilo.toml", "broken");
  Write("/my.toml", "user = \"alice\"\n[vms.a]\n");
  ASSERT_EQ(mkdir(absl::StrCat(root_.path(), "/my.toml.d").c_str(), 0755), 0);
  Write("/my.toml.d/x.toml", "vms.a.cpus = 7\n");
  const LoadResult result =
      Load({.file = absl::StrCat(root_.path(), "/my.toml"),
            .root = std::string(root_.path())});
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_EQ(result.config->FindVm("a")->cpus, 7u);
}

TEST_F(LoadFilesTest, WhatCannotBeReadIsAnErrorBesidesTheOthers) {
  Write("/etc/vmsilo/vmsilo.toml", "usr = \"alice\"\n");
  ASSERT_EQ(mkdir(absl::StrCat(root_.path(),
                               "/etc/vmsilo/vmsilo.toml.d/directory.toml")
                      .c_str(),
                  0755),
            0);
  EXPECT_THAT(
      Texts(LoadAll()),
      ElementsAre(HasSubstr("directory.toml: error: "),
                  "/etc/vmsilo/vmsilo.toml:1:1: error: usr: unknown key; did "
                  "you mean 'user'?"));
  const LoadResult other =
      Load({.file = absl::StrCat(root_.path(), "/my.yaml")});
  EXPECT_THAT(Texts(other), ElementsAre("/my.yaml: error: the name must end "
                                        "in .toml or .json"));
  const LoadResult absent =
      Load({.file = absl::StrCat(root_.path(), "/my.toml")});
  EXPECT_THAT(Texts(absent),
              ElementsAre("/my.toml: error: there is no such file"));
}

TEST_F(LoadFilesTest, AFileThatIsTooLargeIsNotParsed) {
  Write("/etc/vmsilo/vmsilo.toml", std::string(kMaxConfigBytes + 1, '\n'));
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre("/etc/vmsilo/vmsilo.toml: error: the file has "
                          "1048577 bytes; the configuration as a whole, with 0 "
                          "bytes before this file, may have 1048576"));
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"" + std::string(kMaxConfigBytes - 14, '\n'));
  EXPECT_THAT(Texts(LoadAll()), IsEmpty());
}

TEST_F(LoadFilesTest, AHugeFileIsNotEvenReadToItsEnd) {
  Write("/etc/vmsilo/vmsilo.toml", "");
  ASSERT_EQ(truncate(root_.Path("etc/vmsilo/vmsilo.toml").c_str(), 100 << 20),
            0);
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("the file has 104857600 bytes")));
}

TEST_F(LoadFilesTest, AllFilesTogetherHaveTheLimit) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"" + std::string(kMaxConfigBytes / 2, '\n'));
  Write("/etc/vmsilo/vmsilo.toml.d/a.toml",
        std::string(kMaxConfigBytes / 2, '\n'));
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("vmsilo.toml.d/a.toml: error: the file "
                                    "has 524288 bytes; the configuration as a "
                                    "whole, with 524302 bytes before")));
}

TEST_F(LoadFilesTest, TooManyDropInsAreRefused) {
  Write("/etc/vmsilo/vmsilo.toml", "user = \"alice\"\n");
  for (size_t i = 0; i < kMaxDropIns; ++i) {
    Write(absl::StrCat("/etc/vmsilo/vmsilo.toml.d/", i, ".toml"), "");
  }
  EXPECT_THAT(Texts(LoadAll()), IsEmpty());
  Write("/etc/vmsilo/vmsilo.toml.d/x.toml", "");
  EXPECT_THAT(Texts(LoadAll()), ElementsAre(HasSubstr("more than 200 files")));
}

TEST_F(LoadFilesTest, WithoutAUserDatabaseTheHostTableIsNeeded) {
  Write("/etc/vmsilo/vmsilo.toml", "user = \"alice\"\n");
  ASSERT_EQ(unlink(absl::StrCat(root_.path(), "/etc/passwd").c_str()), 0);
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("'alice' cannot be looked up, because "
                                    "/etc/passwd cannot be read; mend the "
                                    "name, or set host.uid, host.gid, "
                                    "host.home")));
}

TEST_F(LoadFilesTest, ReadsTheDescriptionsOfTheImagesInUse) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"\nimageDir = \"/images\"\n[vms.a]\n[vms.b]\n"
        "image = \"debian\"\n[vms.c]\nimage = \"other\"\n"
        "[images.other]\ndescription = \"from the configuration\"\n");
  for (const char* path :
       {"/images", "/images/debian", "/images/other", "/images/unused"}) {
    mkdir(absl::StrCat(root_.path(), path).c_str(), 0755);
  }
  Write("/images/debian/image.toml", "kernel = \"bzImage\"\n");
  // Neither of these is read.
  Write("/images/unused/image.toml", "x = 1\n");
  Write("/images/other/image.toml", "x = 1\n");
  const LoadResult result = LoadAll();
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  ASSERT_EQ(result.config->images.size(), 2u);
  const Image* debian = result.config->FindImage("debian");
  ASSERT_NE(debian, nullptr);
  EXPECT_EQ(debian->kernel, "bzImage");
  EXPECT_TRUE(debian->is_from_file);
  const Image* other = result.config->FindImage("other");
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->description, "from the configuration");
  EXPECT_FALSE(other->is_from_file);
  EXPECT_EQ(result.config->FindImage("default"), nullptr);
}

TEST_F(LoadFilesTest, ErrorsOfADescriptionNameItsFile) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"\nimageDir = \"/images\"\n[vms.a]\nx = 1\n[vms.b]\n"
        "image = \"fifo\"\n[vms.c]\nimage = \"huge\"\n");
  for (const char* path :
       {"/images", "/images/default", "/images/fifo", "/images/huge"}) {
    mkdir(absl::StrCat(root_.path(), path).c_str(), 0755);
  }
  Write("/images/default/image.toml", "\nkernal = \"bzImage\"\n");
  Write("/images/huge/image.toml",
        std::string(kMaxImageDescriptionBytes, '\n') + "\n");
  // It must not be waited for.
  ASSERT_EQ(
      mkfifo(absl::StrCat(root_.path(), "/images/fifo/image.toml").c_str(),
             0644),
      0);
  const LoadResult result = LoadAll();
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(
      Texts(result),
      ElementsAre("/etc/vmsilo/vmsilo.toml:4:1: error: vms.a.x: unknown key; "
                  "vmsilo.toml(5) lists the keys of 'vms.NAME'",
                  "/images/default/image.toml:2:1: error: kernal: unknown key; "
                  "did you mean 'kernel'?",
                  "/images/fifo/image.toml: error: it is not a regular file",
                  "/images/huge/image.toml: error: more than 65536 bytes"));
}

TEST_F(LoadFilesTest, ASiloWithItsOwnKernelHasNoImageUnlessItNamesOne) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"\n[vms.a]\nkernel = \"/k\"\n"
        "[vms.b]\nkernel = \"/k\"\nimage = \"debian\"\n"
        "[vms.c]\ninitrd = \"/i\"\n");
  const LoadResult result = LoadAll();
  ASSERT_TRUE(result.ok()) << testing::PrintToString(Texts(result));
  EXPECT_FALSE(result.config->FindVm("a")->uses_image());
  EXPECT_EQ(result.config->FindVm("b")->image, "debian");
  EXPECT_TRUE(result.config->FindVm("b")->uses_image());
  EXPECT_EQ(result.config->FindVm("c")->image, "default");
}

TEST_F(LoadFilesTest, AnImageWithoutADiskHasNoneThatIsWritten) {
  const char kConfig[] =
      "user = \"alice\"\ncloud-hypervisor.version = \"50.0\"\n"
      "[vms.a]\nhypervisor = \"cloud-hypervisor\"\nsound = false\n"
      "gpu = false\n";
  Write("/etc/vmsilo/vmsilo.toml", kConfig);
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("guesses the format of disks")));
  Write("/etc/vmsilo/vmsilo.toml",
        absl::StrCat(kConfig, "[images.default]\nrootDisk = false\n"));
  EXPECT_THAT(Texts(LoadAll()), IsEmpty());
}

TEST_F(LoadFilesTest, AnImageSaysWhatItBootsUnder) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"\n[images.default]\nhypervisors = [\"qemu\"]\n"
        "[vms.a]\nhypervisor = \"qemu\"\n"
        "[vms.b]\nhypervisor = \"crosvm\"\nimage = \"default\"\n"
        "[vms.c]\nhypervisor = \"crosvm\"\nimage = \"default\"\n"
        "kernel = \"/k\"\nrootDisk = \"/r\"\n");
  EXPECT_THAT(
      Texts(LoadAll()),
      ElementsAre("/etc/vmsilo/vmsilo.toml:8:1: error: vms.b.image: the image "
                  "'default' does not boot under crosvm but under qemu, says "
                  "its description"));
}

}  // namespace
}  // namespace vmsilo::config
