#include "common/main.h"

#include "prepare/program.h"

int main(int argc, char** argv) {
  vmsilo::prepare::Flags flags;
  return vmsilo::Main(argc, argv, vmsilo::prepare::MakeProgram(&flags));
}
