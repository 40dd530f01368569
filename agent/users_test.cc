#include "agent/users.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::agent {
namespace {

using ::absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# comment\n"
    "short:x:1\n"
    "minus:x:-1:5::/:\n"
    "nobody4294967295:x:4294967295:5::/:\n"
    "words:x:one:5::/:\n"
    "user:x:1000:100:A User,,,:/home/user:/bin/sh\n"
    "user:x:1001:100:second of the name:/x:/bin/x\n"
    "twin:x:1000:100::/home/twin:\n";

constexpr absl::string_view kGroup =
    "root:x:0:\n"
    "users:x:100:user\n"
    "audio:x:29:other,user\n"
    "video:x:44:user,\n"
    "audio2:x:29:user\n"
    "bad:x:zz:user\n"
    "users2:x:101:user2,auser\n";

TEST(FindUserTest, TakesTheFirstOfTheNameWithItsGroups) {
  const auto user = FindUser(kPasswd, kGroup, "user");
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->uid, 1000u);
  EXPECT_EQ(user->gid, 100u);
  EXPECT_EQ(user->home, "/home/user");
  EXPECT_EQ(user->shell, "/bin/sh");
  EXPECT_THAT(user->groups, ElementsAre(100, 29, 44));
}

TEST(FindUserTest, FindsByNumber) {
  const auto user = FindUser(kPasswd, kGroup, uid_t{1000});
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->name, "user");
}

TEST(FindUserTest, DoesWithoutGroups) {
  const auto user = FindUser(kPasswd, "", "root");
  ASSERT_THAT(user, IsOk());
  EXPECT_THAT(user->groups, ElementsAre(0));
}

TEST(FindUserTest, SkipsLinesThatAreNoEntries) {
  for (const char* name :
       {"short", "minus", "words", "nobody4294967295", "# comment", ""}) {
    EXPECT_THAT(FindUser(kPasswd, kGroup, name),
                StatusIs(StatusCode::kNotFound))
        << name;
  }
}

TEST(FindUserTest, NamesWhoIsMissing) {
  EXPECT_THAT(FindUser(kPasswd, kGroup, "eve"),
              StatusIs(StatusCode::kNotFound, HasSubstr("'eve'")));
  EXPECT_THAT(FindUser(kPasswd, kGroup, uid_t{7}),
              StatusIs(StatusCode::kNotFound, HasSubstr("uid 7")));
}

TEST(FindUserTest, TakesNoMoreGroupsThanTheKernel) {
  std::string group;
  for (size_t i = 0; i < kMaxGroups + 10; ++i) {
    absl::StrAppend(&group, "g:x:", i + 200, ":user\n");
  }
  const auto user = FindUser(kPasswd, group, "user");
  ASSERT_THAT(user, IsOk());
  EXPECT_EQ(user->groups.size(), kMaxGroups);
}

}  // namespace
}  // namespace vmsilo::agent
