#include "unitgen/diff.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

File Link(const char* target) {
  return File{.kind = File::Kind::kSymlink, .content = target};
}

TEST(DiffTest, NoDifference) {
  EXPECT_EQ(
      DiffInstalled({{"etc/a", File{.content = "x\n"}}, {"etc/l", Link("a")}},
                    Manifest(),
                    {{"etc/a", Node{Node::Kind::kRegular, "x\n", 0644}},
                     {"etc/l", Node{Node::Kind::kSymlink, "a", 0777}}}),
      "");
}

TEST(DiffTest, ShowsWhatInstallWouldChange) {
  Manifest manifest;
  manifest.files["etc/gone"] = {FingerprintOf(File{.content = "g\n"})};
  manifest.files["etc/forgotten"] = {FingerprintOf(File{.content = "f\n"})};
  EXPECT_EQ(
      DiffInstalled({{"etc/changed", File{.content = "new\n"}},
                     {"etc/link", Link("there")},
                     {"etc/new", File{.content = "n\n"}}},
                    manifest,
                    {{"etc/changed", Node{Node::Kind::kRegular, "old\n", 0644}},
                     {"etc/gone", Node{Node::Kind::kRegular, "g\n", 0644}},
                     {"etc/link", Node{Node::Kind::kSymlink, "here", 0777}}}),
      "--- /etc/changed\n+++ /etc/changed\n@@ -1 +1 @@\n-old\n+new\n"
      "--- /etc/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-g\n"
      "--- /etc/link\n+++ /etc/link\n@@ -1 +1 @@\n-here\n+there\n"
      "--- /dev/null\n+++ /etc/new\n@@ -0,0 +1 @@\n+n\n");
}

TEST(DiffTest, ShowsAnotherModeAndKind) {
  EXPECT_EQ(
      DiffInstalled({{"etc/a", File{.content = "x\n"}}, {"etc/b", Link("x")}},
                    Manifest(),
                    {{"etc/a", Node{Node::Kind::kRegular, "x\n", 0600}},
                     {"etc/b", Node{Node::Kind::kDirectory, "", 0755}}}),
      "--- /etc/a\n+++ /etc/a\n# was: mode 0600\n# becomes: mode 0644\n"
      "--- /etc/b\n+++ /etc/b\n# was: directory\n# becomes: link\n"
      "@@ -0,0 +1 @@\n+x\n");
}

TEST(DiffTest, AnEmptyFileThatIsMissingIsADifference) {
  EXPECT_EQ(DiffInstalled({{"etc/a", File()}}, Manifest(), {}),
            "--- /dev/null\n+++ /etc/a\n");
}

TEST(DiffTest, ColoursAreThoseOfGit) {
  EXPECT_EQ(Coloured("--- /a\n@@ -1 +1 @@\n-x\n+y\n z\n"),
            "\x1b[1m--- /a\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n"
            "\x1b[31m-x\x1b[0m\n\x1b[32m+y\x1b[0m\n z\n");
}

}  // namespace
}  // namespace vmsilo::unitgen
