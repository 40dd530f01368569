#include "config/user_database.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

using ::testing::Optional;

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/bash\n"
    "short:x:5:5\n"
    "minus:x:-1:5::/:/bin/sh\n"
    "huge:x:4294967295:5::/:/bin/sh\n"
    "space:x: 7:5::/:/bin/sh\n"
    "alice:x:1000:100:Alice:/home/alice:/bin/sh\n"
    "alice:x:1:1::/second:/bin/sh\n"
    "last:x:9:8::/home/last:";

TEST(FindUserTest, FindsTheFirstGoodEntry) {
  EXPECT_THAT(FindUser(kPasswd, "alice"),
              Optional(PasswdEntry{1000, 100, "/home/alice"}));
  EXPECT_THAT(FindUser(kPasswd, "root"), Optional(PasswdEntry{0, 0, "/root"}));
  EXPECT_THAT(FindUser(kPasswd, "last"),
              Optional(PasswdEntry{9, 8, "/home/last"}));
}

TEST(FindUserTest, SkipsWhatIsNoEntry) {
  for (const char* name :
       {"short", "minus", "huge", "space", "ali", "alice2", "", "x"}) {
    EXPECT_EQ(FindUser(kPasswd, name), std::nullopt) << name;
  }
  EXPECT_EQ(FindUser("", "alice"), std::nullopt);
}

TEST(FindGroupNameTest, FindsByNumber) {
  constexpr char kGroup[] =
      "root:x:0:\nbroken:x:100\nusers:x:100:alice,bob\nother:x:100:\n";
  EXPECT_THAT(FindGroupName(kGroup, 100), Optional(std::string("users")));
  EXPECT_THAT(FindGroupName(kGroup, 0), Optional(std::string("root")));
  EXPECT_EQ(FindGroupName(kGroup, 10), std::nullopt);
}

}  // namespace
}  // namespace vmsilo::config
