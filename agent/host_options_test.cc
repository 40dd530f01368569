#include "agent/host_options.h"

#include "gtest/gtest.h"

namespace vmsilo::agent {
namespace {

TEST(IsHybridVsockTest, LooksForTheWholeWord) {
  EXPECT_TRUE(IsHybridVsock("vmsilo.vsock=hybrid"));
  EXPECT_TRUE(IsHybridVsock("console=ttyS0 vmsilo.vsock=hybrid quiet\n"));
  EXPECT_FALSE(IsHybridVsock(""));
  EXPECT_FALSE(IsHybridVsock("console=ttyS0 quiet\n"));
  EXPECT_FALSE(IsHybridVsock("vmsilo.vsock=hybrid2"));
  EXPECT_FALSE(IsHybridVsock("xvmsilo.vsock=hybrid"));
  EXPECT_FALSE(IsHybridVsock("quiet -- vmsilo.vsock=hybrid"));
}

}  // namespace
}  // namespace vmsilo::agent
