// The configuration in README.md, on a machine that has been made as it says.

#include <optional>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "config/config.h"
#include "config/diagnostics.h"
#include "config/load.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "unitgen/generate.h"
#include "unitgen/host_checks.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::IsEmpty;

constexpr absl::string_view kFirstLine = "    # /etc/vmsilo/vmsilo.toml";

// The indented lines from the one that names the file on.
std::string Example(absl::string_view readme) {
  std::string out;
  bool is_inside = false;
  for (const absl::string_view line : absl::StrSplit(readme, '\n')) {
    is_inside = is_inside || line == kFirstLine;
    if (!is_inside) continue;
    if (!line.empty() && !absl::StartsWith(line, "    ")) break;
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

// Has every file of the system and of ours, but no program that is not there
// to be installed yet.
class InstalledHost : public Host {
 public:
  std::optional<FileFacts> Stat(const std::string& path) override {
    static const std::set<std::string> kOurs = {
        "/usr/bin/vmsilo-balloond", "/usr/bin/vmsilo-console-relay",
        "/usr/bin/vmsilo-proxy", "/usr/bin/vmsilo-unitgen",
        "/usr/libexec/vmsilo/vmsilo-prepare"};
    if (absl::StrContains(path, "/vmsilo-") && !kOurs.contains(path)) {
      return std::nullopt;
    }
    // What README says that the image has not got.
    if (absl::EndsWith(path, "/root.img")) return std::nullopt;
    const bool is_file = absl::StrContains(path, "/bin/") ||
                         absl::StrContains(path, "/libexec/") ||
                         absl::StrContains(path, "/default/");
    return FileFacts{is_file ? FileKind::kRegular : FileKind::kDirectory, 0755};
  }
  std::optional<std::string> Read(const std::string&) override {
    return std::nullopt;
  }
  std::optional<std::string> VersionText(const std::string&) override {
    return "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n"
           "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project "
           "developers\n";
  }
};

TEST(ReadmeTest, ItsConfigurationIsAcceptedWithoutAWarning) {
  const auto readme = ReadFile("README.md", size_t{1} << 20);
  ASSERT_THAT(readme, IsOk());
  const std::string example = Example(*readme);
  ASSERT_NE(example, "");
  config::LoadResult loaded =
      config::Compile({{"README.md", example, config::Source::Format::kToml}},
                      {.passwd = "alice:x:1000:100::/home/alice:/bin/sh\n",
                       .group = "users:x:100:\n"});
  for (const config::Diagnostic& diagnostic : loaded.diagnostics) {
    ADD_FAILURE() << config::ToString(diagnostic);
  }
  ASSERT_TRUE(loaded.ok());
  // Its image.toml.
  config::Image image;
  image.name = "default";
  image.root_disk.reset();
  loaded.config->images.push_back(image);
  const auto output = Generate(*loaded.config, {});
  ASSERT_THAT(output, IsOk());
  EXPECT_THAT(output->warnings, IsEmpty());
  InstalledHost host;
  for (const Warning& warning : CheckHost(*loaded.config, *output, &host)) {
    ADD_FAILURE() << warning.key << ": " << warning.message;
  }
}

}  // namespace
}  // namespace vmsilo::unitgen
