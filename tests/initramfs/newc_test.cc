#include "tests/initramfs/newc.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::initramfs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(NewcArchiveTest, FileHasHeaderNameAndContentEachPadded) {
  NewcArchive archive;
  archive.AddFile("ab", 0755, "hello");
  const std::string bytes = std::move(archive).Finish();
  // 110 bytes of header and "ab" with its NUL, padded to 116; 5 bytes to 8.
  EXPECT_THAT(bytes, StartsWith("07070100000000000081ed"));
  EXPECT_EQ(bytes.substr(110, 14), std::string("ab\0\0\0\0hello\0\0\0", 14));
  EXPECT_EQ(bytes.substr(124, 6), "070701");
}

TEST(NewcArchiveTest, ParentsAreMadeOnce) {
  NewcArchive archive;
  archive.AddFile("usr/bin/a", 0755, "");
  archive.AddFile("usr/bin/b", 0755, "");
  archive.AddDirectory("usr", 0755);
  const std::string bytes = std::move(archive).Finish();
  EXPECT_EQ(Count(bytes, std::string("usr\0", 4)), 1u);
  EXPECT_EQ(Count(bytes, std::string("usr/bin\0", 8)), 1u);
}

TEST(NewcArchiveTest, DeviceNumbersAreHexadecimal) {
  NewcArchive archive;
  archive.AddCharacterDevice("dev/console", 0600, 5, 11);
  EXPECT_THAT(std::move(archive).Finish(),
              HasSubstr("000000050000000b0000000c00000000dev/console"));
}

TEST(NewcArchiveTest, EndsWithTheTrailer) {
  const std::string bytes = NewcArchive().Finish();
  EXPECT_THAT(bytes, HasSubstr("TRAILER!!!"));
  EXPECT_EQ(bytes.size() % 4, 0u);
}

}  // namespace
}  // namespace vmsilo::initramfs
