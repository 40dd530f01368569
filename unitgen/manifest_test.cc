#include "unitgen/manifest.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vmsilo::unitgen {
namespace {

using ::testing::HasSubstr;

Manifest Example() {
  Manifest manifest;
  manifest.directories = {"etc/systemd/system/sockets.target.wants"};
  manifest.files["etc/systemd/system/vmsilo-work.socket"] = {
      FingerprintOf(File{.content = "old"}),
      FingerprintOf(File{.content = "new", .mode = 0600})};
  manifest.files["etc/systemd/system/sockets.target.wants/vmsilo-work.socket"] =
      {FingerprintOf(File{.kind = File::Kind::kSymlink,
                          .content = "../vmsilo-\"w\\ork\".socket"})};
  return manifest;
}

TEST(ManifestTest, IsReadAsItWasWritten) {
  EXPECT_THAT(ParseManifest(PrintManifest(Example())), IsOkAndHolds(Example()));
  EXPECT_THAT(ParseManifest(PrintManifest(Manifest())),
              IsOkAndHolds(Manifest()));
}

TEST(ManifestTest, EveryTruncationIsAnError) {
  const std::string text = PrintManifest(Example());
  // Its last byte is the line break.
  for (size_t size = 0; size + 1 < text.size(); ++size) {
    EXPECT_THAT(ParseManifest(text.substr(0, size)).status(),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

struct Case {
  const char* name;
  std::string text;
  const char* want;
};

class ParseManifestTest : public testing::TestWithParam<Case> {};

TEST_P(ParseManifestTest, Table) {
  EXPECT_THAT(
      ParseManifest(GetParam().text).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().want)));
}

std::string WithPath(absl::string_view path) {
  return absl::StrCat(R"({"version":1,"directories":[],"files":{")", path,
                      R"(":[{"link":"x"}]}})");
}

std::string WithFingerprint(absl::string_view fingerprint) {
  return absl::StrCat(R"({"version":1,"directories":[],"files":{"a":[)",
                      fingerprint, "]}}");
}

constexpr char kDigest[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

INSTANTIATE_TEST_SUITE_P(
    All, ParseManifestTest,
    testing::ValuesIn(std::vector<Case>{
        {"Empty", "", "line 1"},
        {"NotJson", "version = 1", "JSON"},
        {"AnArray", "[]", "version"},
        {"Deep", std::string(100000, '[') + std::string(100000, ']'), "64"},
        {"NewerVersion", R"({"version":2})", "another version"},
        {"NoFiles", R"({"version":1,"directories":[]})", "lists"},
        {"MoreThanItWrites",
         R"({"version":1,"directories":[],"files":{},"x":1})", "lists"},
        {"DirectoryIsANumber", R"({"version":1,"directories":[1],"files":{}})",
         "directory"},
        {"DirectoryLeadsOut",
         R"({"version":1,"directories":["../etc"],"files":{}})", "'../etc'"},
        {"AbsolutePath", WithPath("/etc/passwd"), "'/etc/passwd'"},
        {"PathLeadsOut", WithPath("etc/../../x"), "path"},
        {"PathWithDot", WithPath("etc/./x"), "path"},
        {"PathWithNul", WithPath("etc/\\u0000x"), "path"},
        {"EmptyPath", WithPath(""), "path"},
        {"NoFingerprint", WithFingerprint(""), "fingerprint"},
        {"LinkIsANumber", WithFingerprint(R"({"link":1})"), "fingerprint"},
        {"LinkWithMode", WithFingerprint(R"({"link":"x","mode":"0644"})"),
         "fingerprint"},
        {"NoSize",
         WithFingerprint(absl::StrCat(R"({"mode":"0644","sha256":")", kDigest,
                                      "\"}")),
         "fingerprint"},
        {"NegativeSize",
         WithFingerprint(absl::StrCat(R"({"mode":"0644","size":-1,"sha256":")",
                                      kDigest, "\"}")),
         "fingerprint"},
        {"ModeIsNotOctal",
         WithFingerprint(absl::StrCat(R"({"mode":"0688","size":1,"sha256":")",
                                      kDigest, "\"}")),
         "fingerprint"},
        {"ModeIsTooLong",
         WithFingerprint(absl::StrCat(R"({"mode":"00644","size":1,"sha256":")",
                                      kDigest, "\"}")),
         "fingerprint"},
        {"DigestInCapitals",
         WithFingerprint(
             absl::StrCat(R"({"mode":"0644","size":1,"sha256":")",
                          absl::StrReplaceAll(kDigest, {{"a", "A"}}), "\"}")),
         "fingerprint"},
        {"DigestIsShort",
         WithFingerprint(R"({"mode":"0644","size":1,"sha256":"ba"})"),
         "fingerprint"},
        {"FingerprintsAreAnObject",
         R"({"version":1,"directories":[],"files":{"a":{}}})", "fingerprint"},
    }),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ManifestTest, NumberOfFingerprintsIsLimited) {
  Manifest manifest;
  for (size_t i = 0; i < kMaxFingerprints; ++i) {
    manifest.files["a"].push_back(
        FingerprintOf(File{.content = std::string(i, 'x')}));
  }
  EXPECT_THAT(ParseManifest(PrintManifest(manifest)), IsOkAndHolds(manifest));
  manifest.files["a"].push_back(FingerprintOf(File{.content = "y"}));
  EXPECT_THAT(ParseManifest(PrintManifest(manifest)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace vmsilo::unitgen
