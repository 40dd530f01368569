#pragma once

namespace vmsilo::unitgen {

// What the files are made for.
struct Mode {
  // Called by systemd as a generator: only system units can be written, so
  // what would be a file elsewhere becomes a unit, or is left out.
  bool is_generator = false;
};

}  // namespace vmsilo::unitgen
