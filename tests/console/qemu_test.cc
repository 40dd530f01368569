// The console of a real virtual machine that reboots, is reset and dies while
// somebody types at it: QEMU without KVM and a guest of a few bytes, which
// says "boot" and then whatever is said to it.

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/testing/process.h"
#include "console/message.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/console/fixture.h"
#include "tests/console/person.h"

namespace vmsilo {
namespace {

using ::testing::StartsWith;

// The first sector of a disk, which a PC loads to 0x7c00 and runs.
std::string BootSector() {
  constexpr std::array<uint8_t, 56> kCode = {
      0x31, 0xc0,        // 7c00 xor ax, ax
      0x8e, 0xd8,        // 7c02 mov ds, ax
      0xbe, 0x31, 0x7c,  // 7c04 mov si, 0x7c31
      0xac,              // 7c07 lodsb
      0x84, 0xc0,        // 7c08 test al, al
      0x74, 0x05,        // 7c0a jz 0x7c11
      0xe8, 0x12, 0x00,  // 7c0c call 0x7c21
      0xeb, 0xf6,        // 7c0f jmp 0x7c07
      0xba, 0xfd, 0x03,  // 7c11 mov dx, 0x3fd: the line's status
      0xec,              // 7c14 in al, dx
      0xa8, 0x01,        // 7c15 test al, 1: something has come
      0x74, 0xfb,        // 7c17 jz 0x7c14
      0xb2, 0xf8,        // 7c19 mov dl, 0xf8: its data
      0xec,              // 7c1b in al, dx
      0xe8, 0x02, 0x00,  // 7c1c call 0x7c21
      0xeb, 0xf0,        // 7c1f jmp 0x7c11
      0x88, 0xc4,        // 7c21 mov ah, al: send al
      0xba, 0xfd, 0x03,  // 7c23 mov dx, 0x3fd
      0xec,              // 7c26 in al, dx
      0xa8, 0x20,        // 7c27 test al, 0x20: there is room
      0x74, 0xfb,        // 7c29 jz 0x7c26
      0xb2, 0xf8,        // 7c2b mov dl, 0xf8
      0x88, 0xe0,        // 7c2d mov al, ah
      0xee,              // 7c2f out dx, al
      0xc3,              // 7c30 ret
      'b',  'o',  'o',  't', '\r', '\n', 0,  // 7c31
  };
  std::string sector(512, '\0');
  for (size_t i = 0; i < kCode.size(); ++i) {
    sector[i] = static_cast<char>(kCode[i]);
  }
  sector[510] = '\x55';
  sector[511] = '\xaa';
  return sector;
}

class QemuTest : public ConsoleTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(access("/usr/bin/qemu-system-x86_64", X_OK), 0)
        << "this test needs QEMU: apt-get install qemu-system-x86";
    dir_.Write("disk", BootSector());
    StartRelay({"--connect"});
  }

  // As the units have it, as far as the console is concerned. Its monitor is
  // on its standard input.
  ChildProcess StartQemu() {
    return ChildProcess::Start(
        {.argv = {"/usr/bin/qemu-system-x86_64", "-nodefaults",
                  "-no-user-config", "-display", "none", "-accel", "tcg", "-m",
                  "16", "-drive",
                  absl::StrCat("if=floppy,format=raw,readonly=on,file=",
                               dir_.Path("disk")),
                  "-chardev",
                  absl::StrCat("socket,id=console,path=", dir_.Path("backend"),
                               ",server=on,wait=off"),
                  "-serial", "chardev:console", "-monitor", "stdio"}});
  }
};

TEST_F(QemuTest, ResetsInALoopWhileAPersonTypes) {
  ChildProcess qemu = StartQemu();
  Person person;
  person.Start(Client());
  for (int boot = 0; boot < 10; ++boot) {
    person.ReadUntil("boot\r\n");
    const std::string typed = absl::StrCat("typed at boot ", boot, "\r");
    person.Type(typed);
    EXPECT_EQ(person.ReadUntil("\r"), typed);
    qemu.Write("system_reset\n");
  }
  person.ReadUntil("boot\r\n");
  // All on one connection.
  AwaitStatus(
      [](const console::Status& status) {
        return status.guest_connections == 1;
      },
      "one connection");
}

TEST_F(QemuTest, DiesInALoopWhileAPersonTypes) {
  constexpr uint32_t kSeed = 20261123;
  std::mt19937 random(kSeed);
  Person person;
  person.Start(Client());
  for (int boot = 0; boot < 10; ++boot) {
    ChildProcess qemu = StartQemu();
    person.ReadUntil("boot\r\n");
    std::string typed;
    for (int i = 0; i < 500; ++i) {
      absl::StrAppendFormat(&typed, "%d.%03d ", boot, i);
    }
    person.Type(typed);
    // In the midst of it.
    std::string seen =
        person.ReadUntil(absl::StrFormat("%d.%03d ", boot, random() % 500));
    qemu.Signal(SIGKILL);
    EXPECT_EQ(qemu.Wait().signal, SIGKILL);
    constexpr absl::string_view kSaid = "\r\n[vmsilo: silo work is ";
    seen += person.ReadUntil(kSaid);
    absl::string_view echo = seen;
    EXPECT_TRUE(absl::ConsumeSuffix(&echo, kSaid));
    // Nothing of what the last guest did not take, and nothing twice.
    EXPECT_THAT(typed, StartsWith(std::string(echo)));
    person.ReadUntil("gone; waiting for it]");
  }
}

}  // namespace
}  // namespace vmsilo
