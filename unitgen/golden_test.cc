// Compares all that is generated for each case with what is checked in, one
// file a case. After a change that is meant:
//   bazel run //unitgen:golden_test -- --update

#include <cstdlib>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/generate.h"
#include "unitgen/output.h"
#include "unitgen/testing/golden_cases.h"
#include "unitgen/unified_diff.h"

namespace vmsilo::unitgen {
namespace {

bool g_update = false;

constexpr size_t kMaxGoldenBytes = 4 << 20;

// Every file with path, kind, reason and keys, as one text.
std::string Describe(const Output& output) {
  std::string text;
  for (const auto& [path, file] : output.files) {
    absl::StrAppend(&text, "==== ", path);
    if (file.kind == File::Kind::kSymlink) {
      absl::StrAppend(&text, " -> ", file.content, "\n");
      continue;
    }
    if (file.mode != 0644) absl::StrAppend(&text, " (special mode)");
    absl::StrAppend(&text, "\n==== it ", file.reason);
    for (const std::string& key : file.keys) {
      absl::StrAppend(&text, "\n==== by ", key);
    }
    absl::StrAppend(&text, "\n", file.content);
  }
  for (const Warning& warning : output.warnings) {
    absl::StrAppend(&text, "==== warning: ", warning.key, ": ", warning.message,
                    "\n");
  }
  return text;
}

class GoldenTest : public testing::TestWithParam<GoldenCase> {};

TEST_P(GoldenTest, MatchesWhatIsCheckedIn) {
  const config::Config config = LoadGoldenCase(GetParam());
  const absl::StatusOr<Output> output = Generate(config, GetParam().mode);
  ASSERT_THAT(output, IsOk());
  EXPECT_EQ(*output, *Generate(config, GetParam().mode));
  const std::string got = Describe(*output);
  const std::string path =
      absl::StrCat("unitgen/testdata/golden/", GetParam().name, ".txt");
  if (g_update) {
    const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
    ASSERT_NE(workspace, nullptr) << "--update is for `bazel run`";
    ASSERT_THAT(
        WriteFileAtomically(absl::StrCat(workspace, "/", path), got, 0644),
        IsOk());
    return;
  }
  const absl::StatusOr<std::string> want = ReadFile(path, kMaxGoldenBytes);
  ASSERT_THAT(want, IsOk());
  EXPECT_TRUE(*want == got) << UnifiedDiff(*want, got);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, testing::ValuesIn(GoldenCases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vmsilo::unitgen

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (absl::string_view(argv[i]) == "--update") {
      vmsilo::unitgen::g_update = true;
    }
  }
  return RUN_ALL_TESTS();
}
