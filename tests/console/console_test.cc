// `vmsilo console` and the relay as they are shipped, between a hypervisor that
// the test plays and a person at a terminal.

#include <signal.h>

#include <optional>
#include <string>

#include "common/testing/process.h"
#include "common/testing/stream.h"
#include "common/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"
#include "tests/console/person.h"

namespace vmsilo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(ConsoleTest, ShowsWhatWasAndTakesWhatIsTyped) {
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "Debian GNU/Linux\r\nlogin: ");
  Person person;
  person.Start(Client());
  person.ReadUntil("Debian GNU/Linux\r\nlogin: ");
  EXPECT_TRUE(person.IsRaw());
  person.Type("root\r\x03");
  EXPECT_EQ(ReadExactly(guest.get(), 6), "root\r\x03");
  person.Type("\r~.");
  EXPECT_EQ(person.client().Wait().exit_code, 0);
  EXPECT_FALSE(person.IsRaw());
}

TEST_F(ConsoleTest, SaysWhenTheSiloGoesAndComesBack) {
  std::optional<UniqueFd> guest = ConnectGuest();
  Person person;
  person.Start(Client());
  SendAll(guest->get(), "before");
  person.ReadUntil("before");
  guest.reset();
  person.ReadUntil("silo work is gone");
  guest = ConnectGuest();
  person.ReadUntil("silo work is back");
  SendAll(guest->get(), "after");
  person.ReadUntil("after");
}

TEST_F(ConsoleTest, OutlivesTheRelay) {
  std::optional<UniqueFd> guest = ConnectGuest();
  Person person;
  person.Start(Client());
  SendAll(guest->get(), "one");
  person.ReadUntil("one");
  relay_->Signal(SIGKILL);
  person.ReadUntil("has no console now");
  StartRelay();
  guest = ConnectGuest();
  SendAll(guest->get(), "two");
  person.ReadUntil("two");
  person.Type("still here\r");
  EXPECT_EQ(ReadExactly(guest->get(), 11), "still here\r");
}

TEST_F(ConsoleTest, KeepsTheTerminalFromHarm) {
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(),
          "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[6n!");
  {
    Person person;
    person.Start(Client());
    const std::string shown = person.ReadUntil("!");
    EXPECT_THAT(shown, HasSubstr("\x1b[31mred"));
    EXPECT_THAT(shown, Not(HasSubstr("title")));
    EXPECT_THAT(shown, Not(HasSubstr("]52")));
    EXPECT_THAT(shown, Not(HasSubstr("\x1b[6n")));
  }
  Person person;
  person.Start(Client({"--raw", "--take-over"}));
  EXPECT_THAT(person.ReadUntil("!"), HasSubstr("\x1b]0;title\x07"));
}

TEST_F(ConsoleTest, OnePersonTypesAndAnotherTakesOver) {
  const UniqueFd guest = ConnectGuest();
  Person first;
  first.Start(Client());
  first.ReadUntil("~. to leave");
  first.Type("a");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "a");
  Person second;
  second.Start(Client());
  second.ReadUntil("somebody else types; ~w to take over");
  second.Type("~w");
  first.ReadUntil("somebody else types now");
  second.Type("b");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "b");
}

TEST_F(ConsoleTest, AnObserverOnlyLooks) {
  const UniqueFd guest = ConnectGuest();
  Person observer;
  observer.Start(Client({"--read-only"}));
  SendAll(guest.get(), "to be seen");
  observer.ReadUntil("to be seen");
  observer.Type("x\r~?");
  observer.ReadUntil("leave the console");
  Person writer;
  writer.Start(Client());
  writer.ReadUntil("to be seen");
  writer.Type("y");
  EXPECT_EQ(ReadExactly(guest.get(), 1), "y");
}

TEST_F(ConsoleTest, WorksInPipes) {
  const UniqueFd guest = ConnectGuest();
  SendAll(guest.get(), "\x1b]0;as it is\x07");
  ChildProcess client = ChildProcess::Start({.argv = Client()});
  client.ReadStdoutUntil("\x1b]0;as it is\x07");
  client.Write("reboot\n");
  EXPECT_EQ(ReadExactly(guest.get(), 7), "reboot\n");
  const ChildProcess::Result result = client.Wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "\x1b]0;as it is\x07");
}

}  // namespace
}  // namespace vmsilo
