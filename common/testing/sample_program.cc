// A small program for the test of Main().

#include <cstdio>

#include "absl/status/status.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/main.h"
#include "common/options.h"

int main(int argc, char** argv) {
  bool fail = false;
  return vmsilo::Main(
      argc, argv,
      {.name = "sample",
       .summary = "Show what a program does",
       .options = {vmsilo::SwitchOption("fail", "Fail", &fail)},
       .main = {.operands = "[WORD]",
                .max_operands = 1,
                .run = [&fail](const vmsilo::Operands& operands) {
                  VLOG(1) << "a detail";
                  if (fail) return absl::UnavailableError("nobody is there");
                  printf("%zu\n", operands.size());
                  return absl::OkStatus();
                }}});
}
