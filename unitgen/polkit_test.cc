#include "unitgen/polkit.h"

#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

TEST(JavaScriptStringTest, EscapesWhatCouldEndIt) {
  EXPECT_EQ(JavaScriptString("alice"), "\"alice\"");
  EXPECT_EQ(JavaScriptString("a\"b\\c</d\n"),
            "\"a\\u0022b\\u005cc\\u003c/d\\u000a\"");
  EXPECT_EQ(JavaScriptString("\xc3\xa9"), "\"\\u00c3\\u00a9\"");
}

}  // namespace
}  // namespace vmsilo::unitgen
