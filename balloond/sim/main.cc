#include "common/main.h"

#include "balloond/sim/commands.h"
#include "balloond/sim/program.h"

int main(int argc, char** argv) {
  using vmsilo::balloond::sim::MakeProgram;
  using vmsilo::balloond::sim::RunCommand;
  vmsilo::balloond::sim::Flags flags;
  return vmsilo::Main(argc, argv, MakeProgram(&flags, RunCommand));
}
