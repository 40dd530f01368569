#include "common/main.h"

#include "cli/program.h"

int main(int argc, char** argv) {
  vmsilo::cli::Flags flags;
  return vmsilo::Main(argc, argv, vmsilo::cli::MakeProgram(&flags));
}
