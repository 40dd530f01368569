// events [--user UID]… [DIRECTORY]…
//
// Prints a line when it is listening, and one more whenever something may have
// changed: a unit of the system's manager or of a user's, if that one runs, or
// a file in a directory. It ends when nobody reads any more. See within.bash.

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/unique_fd.h"
#include "tests/lab/unit_events.h"

namespace vmsilo::lab {
namespace {

absl::Status Run(const std::vector<std::string>& args) {
  std::vector<UnitEvents> managers;
  VMSILO_ASSIGN_OR_RETURN(UnitEvents system, UnitEvents::OfSystem());
  managers.push_back(std::move(system));
  const UniqueFd files(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--user" && i + 1 < args.size()) {
      absl::StatusOr<UnitEvents> user = UnitEvents::OfUser(args[++i]);
      if (user.ok()) managers.push_back(*std::move(user));
    } else if (inotify_add_watch(files.get(), args[i].c_str(),
                                 IN_CREATE | IN_DELETE | IN_MOVE) < 0) {
      return ErrnoStatus(absl::StrCat("watch ", args[i]));
    }
  }

  // A full pipe says as much as one line more would.
  fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
  bool has_changed = true;
  while (true) {
    if (has_changed) (void)!write(STDOUT_FILENO, "\n", 1);
    std::vector<pollfd> polled = {{STDOUT_FILENO, 0, 0},
                                  {files.get(), POLLIN, 0}};
    for (const UnitEvents& manager : managers) {
      polled.push_back({manager.fd(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0) return ErrnoStatus("poll");
    if (polled[0].revents != 0) return absl::OkStatus();
    has_changed = polled[1].revents != 0;
    alignas(inotify_event) char buffer[4096];
    if (has_changed) (void)!read(files.get(), buffer, sizeof(buffer));
    // A manager that ends is a change, too.
    std::erase_if(managers, [&has_changed](UnitEvents& manager) {
      const absl::StatusOr<bool> is_any = manager.Drain();
      has_changed |= is_any.value_or(true);
      return !is_any.ok();
    });
  }
}

}  // namespace
}  // namespace vmsilo::lab

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const absl::Status status =
      vmsilo::lab::Run(std::vector<std::string>(argv + 1, argv + argc));
  if (status.ok()) return 0;
  fprintf(stderr, "events: %s\n", std::string(status.message()).c_str());
  return 1;
}
