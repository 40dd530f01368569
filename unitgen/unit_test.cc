#include "unitgen/unit.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/output.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Unit MakeUnit() {
  Unit unit;
  unit.name = "vmsilo-work-vm.service";
  unit.reason = "runs silo 'work'";
  unit.keys = {"vms.work"};
  unit.In("Unit").Add("Description", "Silo work");
  unit.In("Service").Add("#", "Why.").Add("Type", "exec");
  return unit;
}

TEST(UnitTest, RendersSectionsInTheirOrder) {
  Unit unit = MakeUnit();
  unit.In("Empty");
  unit.In("Unit").Add("After", "a").Add("After", "b");
  EXPECT_THAT(Render(unit), EndsWith("# Exists because it runs silo 'work'.\n"
                                     "\n[Unit]\nDescription=Silo work\n"
                                     "After=a\nAfter=b\n"
                                     "\n[Service]\n# Why.\nType=exec\n"));
}

TEST(UnitTest, ACommentIsOneLine) {
  Unit unit = MakeUnit();
  unit.reason = "is\n[Service]\nExecStart=/bad\\";
  const std::string text = Render(unit);
  EXPECT_THAT(text, HasSubstr("it is [Service] ExecStart=/bad\\.\n"));
  unit.reason.clear();
  unit.In("Service").Add("#", "a\\");
  EXPECT_THAT(Render(unit), EndsWith("# a\\.\n"));
}

TEST(UnitTest, ListsNameEachWordOnce) {
  Section section("Unit");
  section.AddList("After", {"b", "a", "b"}).AddList("Wants", {});
  EXPECT_EQ(section.text(), "After=b a\n");
}

TEST(AddUnitTest, MakesTheLinksThatEnableIt) {
  Unit unit = MakeUnit();
  unit.wanted_by = {"a.target", "b.target"};
  Output output;
  ASSERT_TRUE(AddUnit(unit, &output));
  ASSERT_THAT(output.files, SizeIs(3));
  const File& link =
      output.files["systemd/system/b.target.wants/vmsilo-work-vm.service"];
  EXPECT_EQ(link.kind, File::Kind::kSymlink);
  EXPECT_EQ(link.content, "../vmsilo-work-vm.service");
  EXPECT_EQ(link.reason, "starts vmsilo-work-vm.service with b.target");
  EXPECT_EQ(link.keys, unit.keys);
  EXPECT_THAT(output.files["systemd/system/vmsilo-work-vm.service"].content,
              EndsWith("\n[Install]\nWantedBy=a.target b.target\n"));
}

TEST(AddUnitTest, UserUnitsHaveAPlaceOfTheirOwn) {
  Unit unit = MakeUnit();
  unit.manager = Unit::Manager::kUser;
  Output output;
  ASSERT_TRUE(AddUnit(unit, &output));
  EXPECT_EQ(output.files.begin()->first, "systemd/user/vmsilo-work-vm.service");
}

TEST(AddUnitTest, RefusesASecondOneOfTheSameName) {
  Output output;
  ASSERT_TRUE(AddUnit(MakeUnit(), &output));
  const Output before = output;
  Unit other = MakeUnit();
  other.reason = "is another";
  EXPECT_FALSE(AddUnit(other, &output));
  EXPECT_EQ(output, before);
}

}  // namespace
}  // namespace vmsilo::unitgen
