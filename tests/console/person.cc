#include "tests/console/person.h"

#include <string>
#include <utility>
#include <vector>

#include "common/testing/process.h"

namespace vmsilo {

void Person::Start(std::vector<std::string> argv) {
  client_.emplace(ChildProcess::Start(
      {.argv = std::move(argv),
       .environment = {{"TERM", "xterm-256color"}, {"PS1", "shell> "}},
       .fds = fds()}));
}

void Person::StartSession(std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"/usr/bin/setsid", "--ctty", "--wait"});
  Start(std::move(argv));
}

}  // namespace vmsilo
