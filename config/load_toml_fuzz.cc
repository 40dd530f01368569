#include <cstddef>
#include <cstdint>
#include <string>

#include "config/load.h"
#include "config/load_fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vmsilo::config::CheckLoaded(
      {"fuzz.toml", std::string(reinterpret_cast<const char*>(data), size),
       vmsilo::config::Source::Format::kToml});
  return 0;
}
