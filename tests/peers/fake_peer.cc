// Stands for every program of a silo's units, by what its options say: tells
// its standard error what they are, listens
// on the sockets that it is to make, connects to those that others make, and
// stays. A hypervisor that cannot connect to a back end, or cannot write to a
// disk, ends with 1. Nothing of the programs' protocols is here: this is for
// tests of the units around them.
//
// A console relay may come before its hypervisor. So that it need not ask again
// and again, it waits at a FIFO in its own directory, by which the hypervisor
// says that it listens.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace vmsilo {
namespace {

sockaddr_un Address(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(),
         std::min(path.size(), sizeof(address.sun_path) - 1));
  return address;
}

// A slow program, where a test has put a FIFO: this ends when the test has
// opened it, said something and closed it again.
void WaitForTest(absl::string_view path) {
  const std::string fifo = absl::StrCat(
      "/usr/lib/fake_peer/", absl::StrReplaceAll(path, {{"/", "_"}}));
  const int fd = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char byte = 0;
  (void)!read(fd, &byte, 1);
  close(fd);
}

// The listening socket, or -1.
int Listen(const std::string& path, int type) {
  WaitForTest(path);
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(path);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
          0 ||
      listen(fd, 8) != 0) {
    perror(path.c_str());
    return -1;
  }
  return fd;
}

bool Connect(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(path);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) == 0) {
    return true;
  }
  perror(path.c_str());
  close(fd);
  return false;
}

// The path in `text` that begins at `at`: up to what ends it in one of the
// hypervisors' lists.
std::string PathAt(absl::string_view text, size_t at) {
  const size_t end = text.find_first_of("\", ", at);
  return std::string(text.substr(at, end - at));
}

constexpr absl::string_view kConsoleSocket = "/console.socket";

std::string DirectoryOf(absl::string_view path) {
  return std::string(path.substr(0, path.rfind('/')));
}

// Ends the waiting of a relay that is there already; one that comes later does
// not have to wait.
void TellConsoleRelay(absl::string_view socket) {
  const std::string fifo = absl::StrCat(socket.substr(0, socket.find("/vm/")),
                                        "/console.d/hypervisor-listens");
  const int fd = open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  (void)!write(fd, "\n", 1);
  close(fd);
}

bool ConnectWhenItListens(const std::string& socket, const std::string& link) {
  const std::string fifo =
      absl::StrCat(DirectoryOf(link), "/hypervisor-listens");
  unlink(fifo.c_str());
  // Open for writing as well, so that it does not end.
  const int fd = mkfifo(fifo.c_str(), 0600) == 0
                     ? open(fifo.c_str(), O_RDWR | O_CLOEXEC)
                     : -1;
  // The hypervisor is another user, and the mask of a unit is strict.
  if (fd < 0 || fchmod(fd, 0622) != 0) {
    perror(fifo.c_str());
    return false;
  }
  char byte = 0;
  while (!Connect(socket)) {
    if (read(fd, &byte, 1) != 1) return false;
  }
  close(fd);
  return true;
}

// Whoever says something at the control socket means the power button; who only
// connects wants to know whether it listens. Never returns without a socket.
void StayUntilPoweredOff(int control, bool is_qemu) {
  // It is the one that speaks first.
  constexpr absl::string_view kGreeting =
      R"({"QMP": {"version": {}, "capabilities": []}})"
      "\r\n";
  while (control < 0) pause();
  while (true) {
    const int fd = accept4(control, nullptr, nullptr, SOCK_CLOEXEC);
    char byte = 0;
    if (is_qemu)
      (void)!send(fd, kGreeting.data(), kGreeting.size(), MSG_NOSIGNAL);
    if (read(fd, &byte, 1) > 0) return;
    close(fd);
  }
}

int RunHypervisor(const std::vector<std::string>& args) {
  int control = -1;
  bool is_qemu = false;
  for (const std::string& arg : args) {
    const size_t at = arg.find("/run/vmsilo/");
    for (const absl::string_view directory :
         {"/var/lib/vmsilo/overlays/", "/srv/silo-"}) {
      const size_t disk = arg.find(directory.data());
      if (disk == std::string::npos) continue;
      const std::string path = PathAt(arg, disk);
      if (open(path.c_str(), O_RDWR | O_CLOEXEC) < 0) {
        perror(path.c_str());
        return 1;
      }
    }
    if (at == std::string::npos) continue;
    const std::string path = PathAt(arg, at);
    if (!absl::EndsWith(path, ".socket")) continue;
    const bool is_own = absl::StrContains(path, "/vm/");
    const int type = absl::EndsWith(path, "/crosvm-control.socket")
                         ? SOCK_SEQPACKET
                         : SOCK_STREAM;
    if (!is_own) {
      if (!Connect(path)) return 1;
      continue;
    }
    const int listener = Listen(path, type);
    if (listener < 0) return 1;
    if (absl::EndsWith(path, kConsoleSocket)) TellConsoleRelay(path);
    if (!absl::EndsWith(path, "-control.socket")) continue;
    control = listener;
    is_qemu = absl::EndsWith(path, "/qemu-control.socket");
  }
  StayUntilPoweredOff(control, is_qemu);
  fputs("asked to power off\n", stderr);
  return 0;
}

void NotifyReady() {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(path);
  constexpr absl::string_view kReady = "READY=1";
  sendto(fd, kReady.data(), kReady.size(), 0,
         reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

int RunHelper(const std::vector<std::string>& args) {
  const auto has = [&args](absl::string_view option) {
    return std::find(args.begin(), args.end(), option) != args.end();
  };
  const bool connects = has("--connect");
  std::string backend;
  std::string link;
  for (size_t i = 0; i + 1 < args.size(); ++i) {
    const std::string& value = args[i + 1];
    if (args[i] == "--backend") backend = value;
    // systemd may listen there already.
    const bool listens_itself = getenv("LISTEN_FDS") == nullptr;
    if (args[i] == "--socket" || args[i] == "--socket-path" ||
        (args[i] == "--backend" && has("--pty") && !connects &&
         listens_itself)) {
      if (Listen(value, SOCK_STREAM) < 0) return 1;
    } else if (args[i] == "--wayland-sock") {
      if (!Connect(value)) return 1;
    } else if (args[i] == "--pty") {
      link = value;
      const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
      unlink(value.c_str());
      if (terminal < 0 || unlockpt(terminal) != 0 ||
          symlink(ptsname(terminal), value.c_str()) != 0) {
        return 1;
      }
    }
  }
  NotifyReady();
  // The hypervisor is not held up by a relay that waits for it.
  if (connects) {
    if (!ConnectWhenItListens(backend, link)) return 1;
    symlink("connected", absl::StrCat(link, ".connected").c_str());
  }
  while (true) pause();
}

int Main(const std::string& name, const std::vector<std::string>& args) {
  fprintf(stderr, "called with %s\n", absl::StrJoin(args, " ").c_str());
  if (absl::EndsWith(name, "/vmsilo-proxy")) {
    puts("connected");
    return 0;
  }
  const bool is_backend = args.size() > 2 && args[2] == "device";
  const bool is_hypervisor = absl::EndsWith(name, "/crosvm") ||
                             absl::EndsWith(name, "/cloud-hypervisor") ||
                             absl::EndsWith(name, "/qemu");
  // As the real one does, whatever its unit says.
  if (absl::EndsWith(name, "/cloud-hypervisor")) umask(077);
  return is_hypervisor && !is_backend ? RunHypervisor(args) : RunHelper(args);
}

}  // namespace
}  // namespace vmsilo

int main(int argc, char** argv) {
  return vmsilo::Main(argv[0], std::vector<std::string>(argv + 1, argv + argc));
}
