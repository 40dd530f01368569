#pragma once

#include <string>

#include "config/schema.h"

// The schema as documents. Each ends in a line end.
namespace vmsilo::config {

// docs/configuration.md.
std::string SchemaAsMarkdown(const TableSchema& root);

// vmsilo.toml(5), as man(7) source.
std::string SchemaAsManPage(const TableSchema& root);

// A JSON Schema (draft 2020-12) for editors. What it refuses, the parser
// refuses, too; the parser knows more.
std::string SchemaAsJsonSchema(const TableSchema& root);

}  // namespace vmsilo::config
