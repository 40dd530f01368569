// Writes the documents that are made from the table of options:
// `bazel run //config:schema_docs -- --update` after a change of the table.

#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/file.h"
#include "config/schema.h"
#include "config/schema_docs.h"

int main(int argc, char** argv) {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (argc != 2 || absl::string_view(argv[1]) != "--update" ||
      workspace == nullptr) {
    std::cerr << "usage: bazel run //config:schema_docs -- --update\n";
    return 64;
  }
  const vmsilo::config::TableSchema& root = vmsilo::config::RootSchema();
  const struct {
    const char* path;
    std::string text;
  } documents[] = {
      {"docs/configuration.md", vmsilo::config::SchemaAsMarkdown(root)},
      {"config/vmsilo.toml.5", vmsilo::config::SchemaAsManPage(root)},
      {"config/vmsilo.schema.json", vmsilo::config::SchemaAsJsonSchema(root)},
  };
  for (const auto& document : documents) {
    const absl::Status status = vmsilo::WriteFileAtomically(
        absl::StrCat(workspace, "/", document.path), document.text, 0644);
    if (!status.ok()) {
      std::cerr << status.message() << "\n";
      return 71;
    }
  }
  return 0;
}
