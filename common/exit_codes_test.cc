#include "common/exit_codes.h"

#include "absl/status/status.h"
#include "common/status.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

TEST(ExitCodeForTest, FollowsTheStatusCode) {
  EXPECT_EQ(ExitCodeFor(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeFor(absl::InvalidArgumentError("")), kExitDataError);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("")), kExitUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::DeadlineExceededError("")), kExitTryLater);
  EXPECT_EQ(ExitCodeFor(absl::PermissionDeniedError("")), kExitNoPermission);
  EXPECT_EQ(ExitCodeFor(absl::InternalError("")), kExitInternal);
}

TEST(ExitCodeForTest, AnAttachedCodeWinsAndSurvivesAnnotation) {
  const absl::Status status =
      WithExitCode(absl::InvalidArgumentError("x"), kExitUsage);
  EXPECT_EQ(ExitCodeFor(status), kExitUsage);
  EXPECT_EQ(ExitCodeFor(Annotate(status, "context")), kExitUsage);
}

TEST(ExitCodeForTest, OkHasNoCodeToAttach) {
  EXPECT_EQ(ExitCodeFor(WithExitCode(absl::OkStatus(), kExitUsage)), 0);
}

}  // namespace
}  // namespace vmsilo
