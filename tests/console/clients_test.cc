// The programs that people look at serial lines with, at the terminal of the
// relay: they come and go, the guest comes and goes, and nobody's line hangs
// up.

#include <sys/stat.h>

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/process.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"
#include "tests/console/person.h"

namespace vmsilo {
namespace {

struct Client {
  std::string name;
  std::vector<std::string> argv;  // without the terminal's path
  // What is typed to leave, the question that may follow, and its answer.
  std::string leave;
  std::string question;
  std::string answer;
};

void PrintTo(const Client& client, std::ostream* stream) {
  *stream << client.name;
}

class ClientsTest : public ConsoleTest,
                    public testing::WithParamInterface<Client> {
 protected:
  void SetUp() override {
    ConsoleTest::SetUp();
    ASSERT_EQ(mkdir(dir_.Path("screens").c_str(), 0700), 0);
  }

  std::vector<std::string> Argv() {
    std::vector<std::string> argv = {
        "/usr/bin/env", "TERM=vt100", absl::StrCat("HOME=", dir_.path()),
        absl::StrCat("SCREENDIR=", dir_.Path("screens"))};
    argv.insert(argv.end(), GetParam().argv.begin(), GetParam().argv.end());
    argv.push_back(dir_.Path("console"));
    return argv;
  }

  static void Leave(Person* person) {
    person->Type(GetParam().leave);
    if (!GetParam().question.empty()) {
      person->ReadUntil(GetParam().question);
      person->Type(GetParam().answer);
    }
    EXPECT_EQ(person->client().Wait().exit_code, 0);
  }
};

TEST_P(ClientsTest, ComesAndGoesAndTheGuestAsWell) {
  std::optional<UniqueFd> guest = ConnectGuest();
  SendAll(guest->get(), "before anybody looked\r\n");
  for (int visit = 0; visit < 3; ++visit) {
    Person person;
    person.StartSession(Argv());
    person.ReadUntil("before anybody looked");
    person.Type("typed");
    EXPECT_EQ(ReadExactly(guest->get(), 5), "typed");
    SendAll(guest->get(), absl::StrCat("answer ", visit, "\r\n"));
    person.ReadUntil(absl::StrCat("answer ", visit));

    // It reboots while somebody looks.
    guest.reset();
    relay_->ReadStderrUntil("the virtual machine is gone");
    guest = ConnectGuest();
    SendAll(guest->get(), absl::StrCat("boot ", visit, "\r\n"));
    person.ReadUntil(absl::StrCat("boot ", visit));
    person.Type("again");
    EXPECT_EQ(ReadExactly(guest->get(), 5), "again");
    Leave(&person);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ClientsTest,
    testing::Values(Client{.name = "picocom",
                           .argv = {"/usr/bin/picocom"},
                           .leave = "\x01\x18"},
                    Client{.name = "minicom",
                           .argv = {"/usr/bin/minicom", "--noinit", "--device"},
                           .leave = "\x01q",
                           .question = "Yes",
                           .answer = "\r"},
                    Client{.name = "screen",
                           .argv = {"/usr/bin/screen", "-c", "/dev/null"},
                           .leave = "\x01\\",
                           .question = "[y/n]",
                           .answer = "y"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace vmsilo
