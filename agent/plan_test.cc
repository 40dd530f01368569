#include "agent/plan.h"

#include <string>

#include "agent/users.h"
#include "command/frame.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

User TestUser() {
  return {.name = "user",
          .uid = 1000,
          .gid = 100,
          .home = "/home/user",
          .shell = "",
          .groups = {100}};
}

TEST(MakePlanTest, MakesACleanEnvironment) {
  const Plan plan = MakePlan({.arguments = {"ls"}}, TestUser(), "", {});
  EXPECT_THAT(
      plan.environment,
      ElementsAre("HOME=/home/user", "LOGNAME=user",
                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                  "/sbin:/bin",
                  "SHELL=/bin/sh", "USER=user"));
}

TEST(MakePlanTest, TheClientsVariablesWinOverTheAgentsOverTheDefault) {
  const Plan plan = MakePlan(
      {.arguments = {"x"}, .environment = {"LANG=C", "PATH=/c", "E=a=b"}},
      TestUser(), "/run/user/1000", {"LANG=de", "DISPLAY=:0", "PATH=/a"});
  EXPECT_THAT(plan.environment, Contains("LANG=C"));
  EXPECT_THAT(plan.environment, Not(Contains("LANG=de")));
  EXPECT_THAT(plan.environment, Contains("DISPLAY=:0"));
  EXPECT_THAT(plan.environment, Contains("PATH=/c"));
  EXPECT_THAT(plan.environment, Contains("E=a=b"));
  EXPECT_THAT(plan.environment, Contains("XDG_RUNTIME_DIR=/run/user/1000"));
  EXPECT_THAT(plan.candidates, ElementsAre("/c/x"));
}

TEST(MakePlanTest, SearchesThePathButNotTheWorkingDirectory) {
  const Plan plan =
      MakePlan({.arguments = {"ls", "-l"}, .environment = {"PATH=/a::/b:"}},
               TestUser(), "", {});
  EXPECT_THAT(plan.candidates, ElementsAre("/a/ls", "/b/ls"));
  EXPECT_THAT(plan.arguments, ElementsAre("ls", "-l"));
}

TEST(MakePlanTest, ACommandWithASlashIsAPath) {
  for (const char* command : {"/bin/ls", "./x", "a/b"}) {
    const Plan plan = MakePlan({.arguments = {command}}, TestUser(), "", {});
    EXPECT_THAT(plan.candidates, ElementsAre(command));
  }
}

TEST(MakePlanTest, TheHomeMayBeMissingADirectoryThatWasAskedForMayNot) {
  const Plan home = MakePlan({.arguments = {"x"}}, TestUser(), "", {});
  EXPECT_EQ(home.directory, "/home/user");
  EXPECT_FALSE(home.is_directory_required);
  const Plan asked =
      MakePlan({.directory = "/srv", .arguments = {"x"}}, TestUser(), "", {});
  EXPECT_EQ(asked.directory, "/srv");
  EXPECT_TRUE(asked.is_directory_required);
}

}  // namespace
}  // namespace vmsilo::agent
