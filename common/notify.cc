#include "common/notify.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace vmsilo {

void NotifyReady() { (void)sd_notify(/*unset_environment=*/0, "READY=1"); }

void NotifyStopping() {
  (void)sd_notify(/*unset_environment=*/0, "STOPPING=1");
}

void NotifyStatus(absl::string_view text) {
  // A line break would start another assignment.
  (void)sd_notify(/*unset_environment=*/0,
                  absl::StrCat("STATUS=", Escaped(text)).c_str());
}

void StoreFd(int fd, absl::string_view name) {
  const std::string message =
      absl::StrCat("FDSTORE=1\nFDPOLL=0\nFDNAME=", name);
  (void)sd_pid_notify_with_fds(/*pid=*/0, /*unset_environment=*/0,
                               message.c_str(), &fd, 1);
}

void ForgetStoredFd(absl::string_view name) {
  (void)sd_notify(/*unset_environment=*/0,
                  absl::StrCat("FDSTOREREMOVE=1\nFDNAME=", name).c_str());
}

absl::StatusOr<std::vector<InheritedFd>> TakeInheritedFds() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  if (count < 0) return ErrnoStatus(-count, "take inherited descriptors");
  std::vector<InheritedFd> fds;
  for (int i = 0; i < count; ++i) {
    fds.push_back({UniqueFd(SD_LISTEN_FDS_START + i), names[i]});
    free(names[i]);
  }
  free(names);
  return fds;
}

absl::Status CheckUnixSocket(int fd, int type, bool is_listening,
                             absl::string_view name) {
  const int result = sd_is_socket_unix(fd, type, is_listening ? 1 : 0,
                                       /*path=*/nullptr, /*length=*/0);
  if (result < 0) return ErrnoStatus(-result, absl::StrCat("examine ", name));
  if (result == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        name, " is not a ", is_listening ? "listening" : "connected",
        " Unix socket of the type that this program needs"));
  }
  return absl::OkStatus();
}

}  // namespace vmsilo
