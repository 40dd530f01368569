#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/testing/process.h"
#include "common/unique_fd.h"

namespace vmsilo {

// A person at a terminal of 30 rows and 100 columns, and what it shows.
class Person {
 public:
  Person();

  // Starts a program at the terminal. It has its standard descriptors there,
  // but the terminal does not control it: for that, see StartSession().
  void Start(std::vector<std::string> argv);

  // Starts the first program of a session at the terminal, as a login does:
  // the terminal's signals reach it and its jobs.
  void StartSession(std::vector<std::string> argv);

  void Type(absl::string_view keys);
  void Resize(int rows, int columns);

  // Everything that has been shown, until `text` is among it.
  std::string ReadUntil(absl::string_view text);

  // Whether keys go to the program one by one, and are not shown.
  bool IsRaw() const;

  // The leader of the job that the keyboard is connected with.
  pid_t ForegroundJob() const;

  // The terminal is gone, as with a window that is closed.
  void HangUp();

  ChildProcess& client() { return *client_; }

 private:
  UniqueFd master_;
  UniqueFd slave_;
  std::string shown_;
  std::optional<ChildProcess> client_;
};

}  // namespace vmsilo
