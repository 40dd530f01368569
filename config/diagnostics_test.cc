#include "config/diagnostics.h"

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::SizeIs;

TEST(NearestTest, FindsWhatWasProbablyMeant) {
  const std::vector<absl::string_view> keys = {"memory", "cpus", "autoStart",
                                               "dependsOn", "gpu"};
  const struct {
    absl::string_view word;
    absl::string_view want;
  } cases[] = {
      {"memroy", "memory"},
      {"Memory", "memory"},
      {"cpu", "cpus"},
      {"autostart", "autoStart"},
      {"dependOn", "dependsOn"},
      {"gup", "gpu"},
      {"ram", ""},
      {"", ""},
      {"x", ""},
      {"network", ""},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(Nearest(test.word, keys), test.want) << test.word;
  }
  EXPECT_EQ(Nearest(std::string(100000, 'm'), keys), "");
}

TEST(DiagnosticTest, IsALineForPeopleAndEditors) {
  EXPECT_EQ(ToString({.file = "f.toml",
                      .line = 3,
                      .column = 7,
                      .key = "vms.a",
                      .message = "wrong"}),
            "f.toml:3:7: error: vms.a: wrong");
  EXPECT_EQ(
      ToString({.severity = Severity::kNote, .file = "f.toml", .message = "m"}),
      "f.toml: note: m");
  EXPECT_EQ(ToString({.severity = Severity::kWarning, .message = "m"}),
            "warning: m");
}

TEST(DiagnosticSinkTest, SortsByFileAndLineAndCountsWhatItDrops) {
  DiagnosticSink sink({"a", "b"});
  sink.Add(Severity::kNote, {1, 1, 1}, "", "third");
  sink.Add(Severity::kNote, {0, 9, 1}, "", "second");
  sink.Add(Severity::kNote, {0, 2, 5}, "", "first");
  EXPECT_FALSE(sink.has_errors());
  for (size_t i = 0; i < kMaxDiagnostics; ++i) {
    sink.Add(Severity::kError, {1, 2, 1}, "", "more");
  }
  EXPECT_TRUE(sink.has_errors());
  const std::vector<Diagnostic> all = sink.Take();
  ASSERT_THAT(all, SizeIs(kMaxDiagnostics + 1));
  EXPECT_EQ(all[0].message, "first");
  EXPECT_EQ(all[1].message, "second");
  EXPECT_EQ(all[2].file, "b");
  EXPECT_EQ(all.back().message, "and 3 more");
}

}  // namespace
}  // namespace vmsilo::config
