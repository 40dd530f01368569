#include "common/unique_fd.h"

#include <fcntl.h>

#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace vmsilo {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

int OpenNull() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_convertible_v<UniqueFd, int>);
static_assert(!std::is_convertible_v<int, UniqueFd>);

TEST(UniqueFdTest, ClosesOnDestruction) {
  int raw = -1;
  {
    UniqueFd fd(OpenNull());
    raw = fd.get();
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(UniqueFdTest, AssignmentClosesWhatWasHeld) {
  UniqueFd first(OpenNull());
  UniqueFd second(OpenNull());
  const int held = first.get();
  const int moved = second.get();
  first = std::move(second);
  EXPECT_FALSE(IsOpen(held));
  EXPECT_TRUE(IsOpen(moved));
  EXPECT_EQ(first.get(), moved);
}

TEST(UniqueFdTest, AssignmentToItselfKeepsTheDescriptor) {
  UniqueFd fd(OpenNull());
  UniqueFd& alias = fd;
  fd = std::move(alias);
  EXPECT_TRUE(IsOpen(fd.get()));
}

TEST(UniqueFdTest, ReleaseLeavesItOpen) {
  UniqueFd fd(OpenNull());
  const int raw = fd.Release();
  EXPECT_FALSE(fd.is_valid());
  EXPECT_TRUE(IsOpen(raw));
  close(raw);
}

}  // namespace
}  // namespace vmsilo
