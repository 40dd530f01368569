#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/options.h"

namespace vmsilo::prepare {

struct Flags {
  std::string path;
  std::string owner;
  std::string to;
  std::string from;
  Bytes size;
  std::string template_path;
  std::string socket;
  std::string type = "stream";
  std::string hypervisor;
  std::string control;
  int pid = 0;
  bool without_connecting = false;
  absl::Duration wait_timeout = absl::Seconds(15);
  absl::Duration power_off_timeout = absl::Seconds(30);
};

// The table of `vmsilo-prepare`'s commands and options. `flags` outlives it.
Program MakeProgram(Flags* flags);

}  // namespace vmsilo::prepare
