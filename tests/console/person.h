#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/testing/process.h"
#include "common/testing/terminal.h"

namespace vmsilo {

// A person at a terminal, and the program that they started there.
class Person : public Terminal {
 public:
  // Starts a program at the terminal. It has its standard descriptors there,
  // but the terminal does not control it: for that, see StartSession().
  void Start(std::vector<std::string> argv);

  // Starts the first program of a session at the terminal, as a login does:
  // the terminal's signals reach it and its jobs.
  void StartSession(std::vector<std::string> argv);

  ChildProcess& client() { return *client_; }

 private:
  std::optional<ChildProcess> client_;
};

}  // namespace vmsilo
