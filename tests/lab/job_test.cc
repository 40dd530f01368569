#include "tests/lab/job.h"

#include <string>

#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::lab {
namespace {

using ::testing::Not;

TEST(JobTest, AnyBytesSurvive) {
  const Job job = {.arguments = {"/bin/sh", "", "two\nlines \xff $x %n"},
                   .environment = {"A=", "B=c=d"},
                   .directory = "/a b"};
  EXPECT_THAT(ParseJob(SerializeJob(job)), IsOkAndHolds(job));
}

TEST(JobTest, NeedsNoEnvironment) {
  const Job job = {.arguments = {"true"}, .directory = "/"};
  EXPECT_THAT(ParseJob(SerializeJob(job)), IsOkAndHolds(job));
}

TEST(JobTest, ForeignTextIsRefused) {
  for (const absl::string_view text :
       {absl::string_view(""), absl::string_view("/\0", 2),
        absl::string_view("/\0x\0true\0", 9),
        absl::string_view("/\0002\0true\0", 9),
        absl::string_view("/\0000\0true\0", 9),
        absl::string_view("/\0001\0true", 8)}) {
    EXPECT_THAT(ParseJob(text), Not(IsOk())) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace vmsilo::lab
