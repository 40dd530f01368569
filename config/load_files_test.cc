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
#include "config/diagnostics.h"
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
              ElementsAre(HasSubstr("/etc/vmsilo/vmsilo.toml: error: the "
                                    "configuration has more than 4194304 "
                                    "bytes")));
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"" + std::string(kMaxConfigBytes - 14, '\n'));
  EXPECT_THAT(Texts(LoadAll()), IsEmpty());
}

TEST_F(LoadFilesTest, AHugeFileIsNotEvenReadToItsEnd) {
  Write("/etc/vmsilo/vmsilo.toml", "");
  ASSERT_EQ(truncate(root_.Path("etc/vmsilo/vmsilo.toml").c_str(), 100 << 20),
            0);
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("has more than 4194304 bytes")));
}

TEST_F(LoadFilesTest, AllFilesTogetherHaveTheLimit) {
  Write("/etc/vmsilo/vmsilo.toml",
        "user = \"alice\"" + std::string(kMaxConfigBytes / 2, '\n'));
  Write("/etc/vmsilo/vmsilo.toml.d/a.toml",
        std::string(kMaxConfigBytes / 2, '\n'));
  EXPECT_THAT(Texts(LoadAll()),
              ElementsAre(HasSubstr("vmsilo.toml.d/a.toml: error: the "
                                    "configuration has more than")));
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

}  // namespace
}  // namespace vmsilo::config
