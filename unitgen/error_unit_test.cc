#include "unitgen/error_unit.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string TextOf(const Output& output) {
  return output.files.at(absl::StrCat("systemd/system/", kErrorUnit)).content;
}

TEST(ErrorUnitTest, FailsAtBootWithTheMessages) {
  const Output output = ErrorOutput(
      {"/etc/vmsilo/vmsilo.toml:3:1: error: vms.a.memroy: unknown", "50% $x"},
      "/usr/bin/vmsilo-unitgen", "/etc/vmsilo/vmsilo.toml");
  EXPECT_THAT(
      TextOf(output),
      AllOf(HasSubstr("ExecStart=/usr/bin/vmsilo-unitgen report-failure "),
            HasSubstr("vms.a.memroy: unknown"), HasSubstr("50%% $$x"),
            HasSubstr("SourcePath=/etc/vmsilo/vmsilo.toml\n"),
            HasSubstr("Type=oneshot\n"), HasSubstr("DynamicUser=yes\n")));
  const File& link = output.files.at(
      absl::StrCat("systemd/system/multi-user.target.wants/", kErrorUnit));
  EXPECT_EQ(link.kind, File::Kind::kSymlink);
}

TEST(ErrorUnitTest, CarriesABoundedNumberOfMessages) {
  std::vector<std::string> messages;
  for (size_t i = 0; i < kMaxReportedMessages; ++i) {
    messages.push_back(absl::StrCat("message-", i, "."));
  }
  EXPECT_THAT(TextOf(ErrorOutput(messages, "/p", "/c")),
              AllOf(HasSubstr("message-19."), Not(HasSubstr("more"))));
  messages.push_back("message-20.");
  EXPECT_THAT(TextOf(ErrorOutput(messages, "/p", "/c")),
              AllOf(Not(HasSubstr("message-20.")), HasSubstr("and 1 more")));
}

TEST(ErrorUnitTest, CarriesABoundedPartOfEachMessage) {
  const std::string text =
      TextOf(ErrorOutput({std::string(100000, 'x')}, "/p", "/c"));
  EXPECT_LT(text.size(), kMaxReportedBytes + 4000);
}

TEST(ErrorUnitTest, AProgramThatNoLineCanNameStillFails) {
  EXPECT_THAT(TextOf(ErrorOutput({"m"}, "relative", "/c\n[Service]")),
              AllOf(HasSubstr("ExecStart=/bin/false report-failure "),
                    Not(HasSubstr("SourcePath="))));
}

}  // namespace
}  // namespace vmsilo::unitgen
