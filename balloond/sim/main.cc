#include "common/main.h"

#include "balloond/sim/program.h"

int main(int argc, char** argv) {
  vmsilo::balloond::sim::Flags flags;
  return vmsilo::Main(argc, argv, vmsilo::balloond::sim::MakeProgram(&flags));
}
