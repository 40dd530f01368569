#include "common/main.h"

#include "absl/strings/string_view.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  vmsilo::cli::Flags flags;
  flags.run.has_separator = false;
  for (int i = 1; i < argc; ++i) {
    if (absl::string_view(argv[i]) == "--") flags.run.has_separator = true;
  }
  return vmsilo::Main(argc, argv, vmsilo::cli::MakeProgram(&flags));
}
