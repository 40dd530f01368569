// Stands for every program of a silo's units, by what its options say: listens
// on the sockets that it is to make, connects to those that others make, and
// stays. A hypervisor that cannot connect to a back end, or cannot write to a
// disk, ends with 1. Nothing of the programs' protocols is here: this is for
// tests of the units around them.

#include <fcntl.h>
#include <sys/socket.h>
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

bool Listen(const std::string& path, int type) {
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  const sockaddr_un address = Address(path);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
          0 ||
      listen(fd, 8) != 0) {
    perror(path.c_str());
    return false;
  }
  return true;
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

int RunHypervisor(const std::vector<std::string>& args) {
  for (const std::string& arg : args) {
    const size_t at = arg.find("/run/vmsilo/");
    const size_t disk = arg.find("/var/lib/vmsilo/overlays/");
    if (disk != std::string::npos) {
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
    if (is_own ? !Listen(path, type) : !Connect(path)) return 1;
  }
  while (true) pause();
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
  for (size_t i = 0; i + 1 < args.size(); ++i) {
    const std::string& value = args[i + 1];
    if (args[i] == "--socket" || args[i] == "--socket-path" ||
        args[i] == "--listen") {
      if (!Listen(value, SOCK_STREAM)) return 1;
    } else if (args[i] == "--wayland-sock") {
      if (!Connect(value)) return 1;
    } else if (args[i] == "--link") {
      const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
      unlink(value.c_str());
      if (terminal < 0 || unlockpt(terminal) != 0 ||
          symlink(ptsname(terminal), value.c_str()) != 0) {
        return 1;
      }
    }
  }
  for (size_t i = 0; i + 1 < args.size(); ++i) {
    if (args[i] != "--connect") continue;
    while (!Connect(args[i + 1])) usleep(50'000);
    symlink("connected", absl::StrCat(args[i + 3], ".connected").c_str());
  }
  NotifyReady();
  while (true) pause();
}

int Main(const std::string& name, const std::vector<std::string>& args) {
  if (absl::EndsWith(name, "/vmsilo-proxy")) {
    puts("connected");
    return 0;
  }
  const bool is_backend = args.size() > 2 && args[2] == "device";
  const bool is_hypervisor = absl::EndsWith(name, "/crosvm") ||
                             absl::EndsWith(name, "/cloud-hypervisor") ||
                             absl::EndsWith(name, "/qemu");
  return is_hypervisor && !is_backend ? RunHypervisor(args) : RunHelper(args);
}

}  // namespace
}  // namespace vmsilo

int main(int argc, char** argv) {
  return vmsilo::Main(argv[0], std::vector<std::string>(argv + 1, argv + argc));
}
