#include "config/colors.h"

#include <optional>

#include "gtest/gtest.h"

namespace vmsilo::config {
namespace {

TEST(ResolveColorTest, KnowsNamesAndNumbersInAnyCase) {
  EXPECT_EQ(ResolveColor("red"), "#ff0000");
  EXPECT_EQ(ResolveColor("SteelBlue"), "#4682b4");
  EXPECT_EQ(ResolveColor("rebeccapurple"), "#663399");
  EXPECT_EQ(ResolveColor("aliceblue"), "#f0f8ff");
  EXPECT_EQ(ResolveColor("yellowgreen"), "#9acd32");
  EXPECT_EQ(ResolveColor("grey"), ResolveColor("gray"));
  EXPECT_EQ(ResolveColor("#FFa500"), "#ffa500");
}

TEST(ResolveColorTest, RefusesEverythingElse) {
  for (const char* text :
       {"", "#", "#fff", "#ff00000", "#gg0000", "ff0000", "blurple", "red ",
        " red", "transparent", "rgb(1,2,3)", "#ff\0000"}) {
    EXPECT_EQ(ResolveColor(text), std::nullopt) << text;
  }
}

TEST(ColorNameTest, IsTheNameOfAValue) {
  EXPECT_EQ(ColorName("#ff0000"), "red");
  EXPECT_EQ(ColorName("#00ffff"), "aqua");
  EXPECT_EQ(ColorName("#010203"), "");
}

}  // namespace
}  // namespace vmsilo::config
