#include "unitgen/testing/golden_cases.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/file.h"
#include "config/diagnostics.h"
#include "config/load.h"
#include "config/user_database.h"

namespace vmsilo::unitgen {

std::ostream& operator<<(std::ostream& out, const GoldenCase& golden_case) {
  return out << golden_case.name;
}

std::vector<GoldenCase> GoldenCases() {
  std::vector<GoldenCase> cases;
  for (const char* name :
       {"cloud_hypervisor_full", "crosvm_full", "crosvm_minimal", "hostile",
        "networking", "qemu_full", "qemu_image", "qemu_minimal",
        "switched_off"}) {
    cases.push_back(
        {name, absl::StrCat("unitgen/testdata/golden/", name, ".toml"), {}});
  }
  for (const char* name :
       {"cloud-hypervisor.toml", "demo.toml", "full.toml", "prototype.json"}) {
    cases.push_back(
        {absl::StrCat("example_",
                      absl::StrReplaceAll(name, {{"-", "_"}, {".", "_"}})),
         absl::StrCat("examples/", name),
         {}});
  }
  cases.push_back({"generator",
                   "unitgen/testdata/golden/crosvm_full.toml",
                   {.is_generator = true}});
  return cases;
}

config::Config LoadGoldenCase(const GoldenCase& golden_case) {
  absl::StatusOr<std::string> text =
      ReadFile(golden_case.input, config::kMaxConfigBytes);
  if (!text.ok()) {
    std::cerr << text.status() << "\n";
    std::abort();
  }
  config::Source source;
  source.name = golden_case.input;
  source.text = *std::move(text);
  source.format = absl::EndsWith(golden_case.input, ".json")
                      ? config::Source::Format::kJson
                      : config::Source::Format::kToml;
  config::UserDatabase users;
  users.passwd = "alice:x:1000:1000::/home/alice:/bin/sh\n";
  users.group = "alice:x:1000:\n";
  config::LoadResult result = config::Compile({source}, users);
  if (!result.ok()) {
    for (const config::Diagnostic& diagnostic : result.diagnostics) {
      std::cerr << config::ToString(diagnostic) << "\n";
    }
    std::abort();
  }
  return *std::move(result.config);
}

}  // namespace vmsilo::unitgen
