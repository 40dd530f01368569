#include "prepare/raw_disk.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/exit_codes.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::prepare {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(FormatByHeadTest, KnowsWhatCrosvmKnows) {
  struct Case {
    std::string head;
    std::optional<absl::string_view> format;
  };
  for (const Case& test : std::vector<Case>{
           {"", std::nullopt},
           {std::string(32, '\0'), std::nullopt},
           {std::string("\xeb\x63\x90\0", 4), std::nullopt},
           {"QFI", std::nullopt},
           {" QFI\xfb", std::nullopt},
           {"QFI\xfb", "qcow2"},
           {"QFI\xfbmore", "qcow2"},
           {"composite_disk", std::nullopt},
           {"composite_disk\x1d", "composite"},
           {"\x3a\xff\x26\xed", "Android sparse"},
           {"\x28\xb5\x2f\xfd", "zstd"},
           {"\x50\x2a\x4d\x18", "zstd"},
           {"\x5f\x2a\x4d\x18", "zstd"},
           {"\x60\x2a\x4d\x18", std::nullopt},
           {"\x50\x2a\x4d", std::nullopt},
       }) {
    EXPECT_EQ(FormatByHead(test.head), test.format) << test.head;
  }
}

TEST(CheckRawDiskTest, SaysWhatItWouldBeTakenFor) {
  TempDir dir;
  EXPECT_THAT(CheckRawDisk(dir.Write("empty", "")), IsOk());
  EXPECT_THAT(CheckRawDisk(dir.Write("raw", std::string(4096, 'x'))), IsOk());
  const absl::Status status =
      CheckRawDisk(dir.Write("hostile", "QFI\xfb and a file of the host"));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr("hostile"), HasSubstr("qcow2"),
                                     HasSubstr("format"))));
  EXPECT_EQ(ExitCodeFor(status), kExitDataError);
  EXPECT_THAT(CheckRawDisk(dir.Path("absent")),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace vmsilo::prepare
