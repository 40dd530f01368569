// What systemd makes of the generated units, short of running a hypervisor.
// Runs in a lab container.

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/silo/shell.h"

namespace vmsilo::lab {
namespace {

using ::testing::IsEmpty;

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

class UnitsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // The user of the examples.
    ASSERT_TRUE(Succeeds(
        "id alice >/dev/null 2>&1 || "
        "{ echo 'alice:x:1000:1000::/home/alice:/bin/bash' >>/etc/passwd; "
        "echo 'alice:x:1000:' >>/etc/group; }"));
    ASSERT_TRUE(Succeeds("tests/silo/install_host examples/demo.toml"));
  }

  void TearDown() override {
    if (!HasFailure()) return;
    std::cerr
        << Shell("journalctl --no-pager -b -o short-monotonic -n 150").out;
  }

  // Makes `path` the host's configuration.
  static testing::AssertionResult Copy(const std::string& path) {
    return Succeeds(absl::StrCat("rm -f /etc/vmsilo/*; cp ", ShellQuoted(path),
                                 " /etc/vmsilo/vmsilo",
                                 path.substr(path.rfind('.'))));
  }
};

class ExamplesTest : public UnitsTest,
                     public testing::WithParamInterface<std::string> {};

TEST_P(ExamplesTest, LoadWithoutAWarningOrACycle) {
  const std::string cursor =
      Answer("journalctl -q -n 1 --show-cursor -o cat | tail -n 1 | cut -c12-");
  // Installed, but only sockets are started.
  ASSERT_TRUE(Copy(GetParam()));
  ASSERT_TRUE(
      Succeeds("systemctl stop 'vmsilo-*'; "
               "vmsilo-unitgen install --config /etc/vmsilo/vmsilo.* && "
               "systemctl daemon-reload && systemd-sysusers && "
               "systemd-tmpfiles --create /etc/tmpfiles.d/vmsilo.conf"));
  // Programs of others need not be there for a unit to be right.
  ASSERT_TRUE(Succeeds(
      "cat /etc/systemd/*/vmsilo-* | sed -n "
      "'s/^Exec[A-Za-z]*=[-+!:@]*\"\\{0,1\\}"
      "\\(\\/[^ \"]*\\).*/\\1/p' | sort -u | while read -r program; do "
      "test -e \"$program\" || install -D /bin/true \"$program\"; done"));
  const Outcome verified = Shell(
      "cd /etc/systemd/system && "
      "systemd-analyze verify --man=no lab.target "
      "$(find vmsilo-* -maxdepth 0 -type f)");
  EXPECT_EQ(verified.status, 0);
  EXPECT_THAT(verified.err, IsEmpty());
  const Outcome user = Shell(
      "cd /etc/systemd/user && ls vmsilo-* >/dev/null 2>&1 || exit 0; "
      "XDG_RUNTIME_DIR=/run systemd-analyze verify --user --man=no "
      "$(find vmsilo-* -maxdepth 0 -type f)");
  EXPECT_EQ(user.status, 0);
  EXPECT_THAT(user.err, IsEmpty());
  // What the manager itself thought, of all units in one transaction.
  EXPECT_TRUE(
      Succeeds("cd /etc/systemd/system && "
               "systemctl start vmsilo-*.socket"));
  EXPECT_THAT(
      Lines(Answer(absl::StrCat(
          "journalctl -q -o cat _PID=1 -p warning --after-cursor=",
          ShellQuoted(cursor), " | grep -i -e vmsilo -e cycle || true"))),
      IsEmpty());
  // Others listen only while something needs them.
  EXPECT_EQ(Answer("systemctl is-active $(cd /etc/systemd/system/"
                   "sockets.target.wants && ls vmsilo-*.socket) | sort -u"),
            "active");
}

// That the check above is able to fail: what the prototype did.
TEST_F(UnitsTest, ACycleWouldBeSeen) {
  ASSERT_TRUE(Copy("examples/demo.toml"));
  ASSERT_TRUE(
      Succeeds("tests/silo/apply --config /etc/vmsilo/vmsilo.toml && "
               "sed '/^DefaultDependencies=/d' "
               "/etc/systemd/system/vmsilo-work-prep.service "
               ">/run/systemd/system/vmsilo-cycle.service && "
               "cd /etc/systemd/system && mv vmsilo-work-prep.service /tmp && "
               "mv /run/systemd/system/vmsilo-cycle.service "
               "vmsilo-work-prep.service"));
  EXPECT_THAT(Shell("systemd-analyze verify --man=no lab.target").err,
              testing::HasSubstr("ordering cycle"));
  EXPECT_TRUE(
      Succeeds("mv /tmp/vmsilo-work-prep.service /etc/systemd/system/ && "
               "systemctl daemon-reload"));
}

std::vector<std::string> Examples() {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("examples", error)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

INSTANTIATE_TEST_SUITE_P(All, ExamplesTest, testing::ValuesIn(Examples()),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) {
                             if (!isalnum(static_cast<unsigned char>(c))) {
                               c = '_';
                             }
                           }
                           return name;
                         });

// ---- Quoting ---------------------------------------------------------------

// Pieces that mean something to systemd, to a shell or to C.
const std::vector<absl::string_view>& Pieces() {
  static const auto* const pieces = new std::vector<absl::string_view>{
      " ",
      "  ",
      "\t",
      "\n",
      "\r",
      "\"",
      "'",
      "\\",
      "\\n",
      "\\x41",
      "%",
      "%%",
      "%n",
      "%i",
      "%%n",
      "$",
      "$$",
      "$HOME",
      "${HOME}",
      "$$HOME",
      "`id`",
      ";",
      "\\;",
      "#",
      "@",
      "-",
      "+",
      "!",
      ":",
      "=",
      ",",
      "|",
      "a",
      "word",
      "--x",
      "\x01",
      "\x1b[m",
      "\x7f",
      "\xc3\xa9",
      "\xe4\xb8\xad",
      "\xf0\x9f\x98\x80",
      "\\",
      "*",
      "~",
      "{",
      "}",
      "<",
      ">",
  };
  return *pieces;
}

std::string RandomValue(std::mt19937& random) {
  std::string value;
  for (size_t count = random() % 8; count > 0; --count) {
    const absl::string_view piece = Pieces()[random() % Pieces().size()];
    absl::StrAppend(&value, piece);
  }
  return value;
}

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", std::string(1, c));
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

TEST_F(UnitsTest, HostileValuesArriveAsTheyWereConfigured) {
  constexpr uint32_t kSeed = 20240229;
  constexpr int kSilos = 12;
  constexpr int kValues = 40;
  std::mt19937 random(kSeed);
  std::vector<std::vector<std::string>> values(kSilos);
  std::vector<std::string> silos;
  for (int i = 0; i < kSilos; ++i) {
    std::vector<std::string> quoted;
    for (int j = 0; j < kValues; ++j) {
      values[i].push_back(RandomValue(random));
      quoted.push_back(JsonString(values[i].back()));
    }
    silos.push_back(absl::StrFormat(
        R"("s%d": {"hypervisor": "qemu", "kernel": "/k", "gpu": false,
           "console": "off", "sound": {"playback": false},
           "sharedHome": false, "rootOverlay": {"type": "tmpfs"},
           "extraArgs": [%s]})",
        i, absl::StrJoin(quoted, ", ")));
  }
  const std::string configuration = absl::StrFormat(
      R"({"user": "desk", "balloond": {"enable": false},
          "host": {"uid": 4200, "gid": 4200, "group": "desk",
                   "home": "/home/desk"},
          "paths": {"qemu": "/usr/local/bin/print_arguments"},
          "vms": {%s}})",
      absl::StrJoin(silos, ",\n"));
  ASSERT_THAT(WriteFileAtomically("/tmp/hostile.json", configuration, 0644),
              IsOk());
  ASSERT_TRUE(Succeeds(
      "install tests/silo/print_arguments /usr/local/bin/print_arguments"));
  ASSERT_TRUE(Copy("/tmp/hostile.json"));
  ASSERT_TRUE(Succeeds("tests/silo/apply --config /etc/vmsilo/vmsilo.json"));
  for (int i = 0; i < kSilos; ++i) {
    const std::string unit = absl::StrFormat("vmsilo-s%d-vm.service", i);
    const std::string file = absl::StrFormat("/run/vmsilo/s%d/vm/arguments", i);
    // Its control socket never comes, so the start as such does not succeed.
    ASSERT_TRUE(Succeeds(absl::StrCat("systemctl start --no-block ", unit)));
    ASSERT_TRUE(AppearsWithin(file));
    const absl::StatusOr<std::string> text = ReadFile(file, 1 << 20);
    ASSERT_THAT(text, IsOk());
    std::vector<std::string> arguments = absl::StrSplit(*text, '\0');
    arguments.pop_back();
    ASSERT_GE(arguments.size(), values[i].size());
    arguments.erase(arguments.begin(),
                    arguments.end() - static_cast<ptrdiff_t>(kValues));
    for (int j = 0; j < kValues; ++j) {
      EXPECT_EQ(testing::PrintToString(arguments[j]),
                testing::PrintToString(values[i][j]))
          << "silo " << i << ", value " << j;
    }
    EXPECT_TRUE(Succeeds(absl::StrCat("systemctl kill -s KILL ", unit)));
  }
}

}  // namespace
}  // namespace vmsilo::lab
