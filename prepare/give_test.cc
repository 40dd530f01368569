#include "prepare/give.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_dir.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// What needs another user is in //tests/trust.
namespace vmsilo::prepare {
namespace {

using ::testing::HasSubstr;

const Owner kSelf{geteuid(), getegid()};

class GiveTest : public ::testing::Test {
 protected:
  GiveTest() { EXPECT_EQ(chmod(dir_.path().c_str(), 0755), 0); }

  TempDir dir_;
};

TEST_F(GiveTest, RefusesALinkThatOthersCouldHaveMade) {
  dir_.Write("target", "secret");
  ASSERT_EQ(symlink("target", dir_.Path("disk").c_str()), 0);
  ASSERT_EQ(chmod(dir_.path().c_str(), 0777), 0);
  EXPECT_THAT(Give(dir_.Path("disk"), kSelf),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("symbolic link")));
  EXPECT_THAT(TakeBack(dir_.Path("disk"), kSelf),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("symbolic link")));
}

TEST_F(GiveTest, RefusesAFileWithASecondName) {
  const std::string file = dir_.Write("disk", "");
  ASSERT_EQ(link(file.c_str(), dir_.Path("second").c_str()), 0);
  EXPECT_THAT(Give(file, kSelf), StatusIs(absl::StatusCode::kFailedPrecondition,
                                          HasSubstr("2 names")));
}

TEST_F(GiveTest, RefusesWhatIsNoFile) {
  ASSERT_EQ(mkdir(dir_.Path("directory").c_str(), 0755), 0);
  ASSERT_EQ(mkfifo(dir_.Path("pipe").c_str(), 0600), 0);
  for (const char* name : {"directory", "pipe"}) {
    EXPECT_THAT(Give(dir_.Path(name), kSelf),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr("not a regular file")));
  }
  EXPECT_THAT(Give("/dev/null", kSelf),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Give(dir_.Path("absent"), kSelf),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(CheckFixedTest, OnlyWhereOthersCannotWrite) {
  EXPECT_THAT(CheckFixed("/"), IsOk());
  EXPECT_THAT(CheckFixed("/usr/bin"), IsOk());
  // Everybody may write to /tmp, whatever is below.
  TempDir dir;
  ASSERT_EQ(chmod(dir.path().c_str(), 0755), 0);
  ASSERT_EQ(mkdir(dir.Path("share").c_str(), 0755), 0);
  EXPECT_THAT(CheckFixed(dir.Path("share")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("others than root")));
}

}  // namespace
}  // namespace vmsilo::prepare
