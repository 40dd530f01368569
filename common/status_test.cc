#include "common/status.h"

#include <cerrno>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status_macros.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo {
namespace {

using ::testing::Eq;
using ::testing::StartsWith;

TEST(ErrnoStatusTest, CarriesCodeAndText) {
  errno = ENOENT;
  EXPECT_THAT(ErrnoStatus("open '/nowhere'"),
              StatusIs(absl::StatusCode::kNotFound,
                       Eq("open '/nowhere': No such file or directory")));
  EXPECT_THAT(ErrnoStatus(ECONNREFUSED, "connect"),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("connect")));
}

TEST(AnnotateTest, AddsContextAndKeepsTheCode) {
  EXPECT_THAT(Annotate(absl::NotFoundError("gone"), "vm 'work'"),
              StatusIs(absl::StatusCode::kNotFound, Eq("vm 'work': gone")));
  EXPECT_THAT(Annotate(absl::OkStatus(), "vm 'work'"), IsOk());
}

absl::StatusOr<std::unique_ptr<int>> MakeInt(bool fail) {
  if (fail) return absl::AbortedError("no int");
  return std::make_unique<int>(7);
}

absl::StatusOr<int> ReadThrough(bool fail) {
  VMSILO_ASSIGN_OR_RETURN(std::unique_ptr<int> value, MakeInt(fail));
  VMSILO_RETURN_IF_ERROR(absl::OkStatus());
  return *value;
}

TEST(StatusMacrosTest, PassValuesAndErrorsOn) {
  EXPECT_THAT(ReadThrough(/*fail=*/false), IsOkAndHolds(7));
  EXPECT_THAT(ReadThrough(/*fail=*/true),
              StatusIs(absl::StatusCode::kAborted, Eq("no int")));
}

}  // namespace
}  // namespace vmsilo
