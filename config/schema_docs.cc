#include "config/schema_docs.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/json.h"
#include "common/value.h"
#include "common/version.h"

namespace vmsilo::config {
namespace {

// Texts that the table has no place for: what holds for the file as a whole.
// Paragraphs with `code` between backquotes; a line of four blanks is code.
struct Section {
  absl::string_view title;
  absl::string_view text;
};

constexpr Section kBefore[] = {
    {"Files",
     "`/etc/vmsilo/vmsilo.toml` is a TOML 1.0 file; `vmsilo.json` beside it, "
     "where there is no `vmsilo.toml`, says the same in JSON. Programs take "
     "another one with `--config FILE`; its name ends in `.toml` or "
     "`.json`.\n\n"
     "Files in `vmsilo.toml.d` beside it (`FILE.d` for another file) that end "
     "in `.toml` or `.json` are read after it, in the order of their names. A "
     "distribution can put defaults into `/usr/lib/vmsilo/vmsilo.toml` and "
     "`/usr/lib/vmsilo/vmsilo.toml.d`, which are read before all others.\n\n"
     "Later files win, key by key: tables are put together, all other values, "
     "lists too, are replaced. In JSON, `null` takes an earlier value back; "
     "the option then has its default.\n\n"
     "All files together have at most 1 MiB, and a TOML file at most 20,000 "
     "dots in keys outside of [headers].\n\n"
     "`vmsilo-unitgen check` tells what is wrong with a configuration: every "
     "error of every file, with its line, column and key."},
    {"Example",
     "The least that works: a silo that boots the image `default`.\n\n"
     "    user = \"alice\"\n\n"
     "    [vms.work]\n"
     "    color = \"steelblue\"\n"
     "    memory = \"4G\""},
    {"Images",
     "A silo that says nothing about `kernel`, `initrd` and `rootDisk` boots "
     "the image `default`, or the one that its `image` names. An image is a "
     "directory below `imageDir` with the files `vmlinuz`, `initrd` and "
     "`root.img`. Where they are called otherwise, or there is more to say, "
     "its file `image.toml` says it:\n\n"
     "    description = \"Debian 12 with a desktop's programs\"\n"
     "    kernel = \"boot/vmlinuz-6.1.0\"\n"
     "    initrd = \"boot/initrd.img-6.1.0\"\n"
     "    rootDisk = \"debian.qcow2\"\n"
     "    rootDiskFormat = \"qcow2\"\n"
     "    kernelParams = [\"quiet\"]\n"
     "    hypervisors = [\"qemu\", \"cloud-hypervisor\"]\n\n"
     "All keys are optional; they are those of `images.NAME` below. An "
     "image may come from somebody else, so its `image.toml` names files of "
     "its own directory only. `images.NAME` in the configuration takes the "
     "place of the whole `image.toml`, which is then not read, and can name "
     "any file.\n\n"
     "What a silo's configuration lacks comes from the image, piece by "
     "piece:\n\n"
     "**The kernel**, and with it the initrd. A silo with a kernel of its own "
     "has only an initrd of its own, since the modules in another one would "
     "not fit.\n\n"
     "**The root disk**. A silo that sets `kernel` and no `image` has none: "
     "its initrd may be the whole system. With `image` set it combines its "
     "kernel with the image's disk.\n\n"
     "**Kernel parameters**, which are added if any of these comes from the "
     "image.\n\n"
     "`vmsilo-unitgen check` tells which files each silo boots. After a "
     "change of an `image.toml` the units must be made anew, as after any "
     "other change of the configuration. When systemd makes them as a "
     "generator, early at boot, `imageDir` may be on a disk that is not "
     "mounted yet. Then the units are made as if there were no `image.toml`, "
     "and refuse to start if one turns up (`AssertPathExists=`); `systemctl "
     "daemon-reload` mends that until the next boot, and `images.NAME` in the "
     "configuration for good."},
    {"Values",
     "A **size** is a string with a number and a unit, `\"400M\"` or "
     "`\"1.5G\"`. Units are binary and their case does not matter: `400m`, "
     "`400M` and `400MiB` are 400 times 1024 times 1024 bytes. `KB` and `MB` "
     "are refused, because they mean different things to different people.\n\n"
     "A **duration** is a string such as `\"2s\"`, `\"100ms\"` or "
     "`\"5min\"`.\n\n"
     "A **colour** is one of the 148 names of CSS or `#rrggbb`, in any "
     "case.\n\n"
     "A **path** is absolute and has no control characters.\n\n"
     "A **name** has at most 64 letters, digits, `_`, `.` and `-` and begins "
     "with a letter or digit. The path of each silo's sockets must fit into "
     "107 bytes, which leaves less for a silo's name; an error says how "
     "much."},
};

// The tables below `schema`, in the order of the options, each once.
void CollectTables(const Shape& shape,
                   std::vector<const TableSchema*>& tables) {
  if (shape.first != nullptr) CollectTables(*shape.first, tables);
  if (shape.second != nullptr) CollectTables(*shape.second, tables);
  if (shape.table == nullptr ||
      std::find(tables.begin(), tables.end(), shape.table) != tables.end()) {
    return;
  }
  tables.push_back(shape.table);
  for (const Option& option : shape.table->options) {
    CollectTables(*option.shape, tables);
  }
}

std::vector<const TableSchema*> TablesBelow(const TableSchema& root) {
  std::vector<const TableSchema*> tables;
  for (const Option& option : root.options) {
    CollectTables(*option.shape, tables);
  }
  return tables;
}

// "a size or an integer", with `code` between backquotes.
std::string TypeText(const Shape& shape) {
  switch (shape.kind) {
    case Shape::Kind::kBoolean:
      return "boolean";
    case Shape::Kind::kInteger:
    case Shape::Kind::kNumber:
      return absl::StrCat(shape.name, ", ", shape.minimum, " to ",
                          shape.maximum);
    case Shape::Kind::kText:
      if (shape.words.empty()) return std::string(shape.name);
      return absl::StrJoin(shape.words, ", ",
                           [](std::string* out, absl::string_view word) {
                             absl::StrAppend(out, "`\"", word, "\"`");
                           });
    case Shape::Kind::kList:
      return absl::StrCat("list of: ", TypeText(*shape.first));
    case Shape::Kind::kTable:
      return "table";
    case Shape::Kind::kMap:
      return absl::StrCat("table by ", shape.name,
                          " of: ", TypeText(*shape.first));
    case Shape::Kind::kEither:
      return absl::StrCat(TypeText(*shape.first), " or ",
                          TypeText(*shape.second));
    case Shape::Kind::kAnything:
      return std::string(shape.name);
  }
  return "";
}

// With `code` between backquotes; empty if the default is nothing.
std::string DefaultText(const Option& option) {
  if (!option.default_doc.empty()) return std::string(option.default_doc);
  if (option.default_text == nullptr) return "";
  const std::string text = option.default_text();
  return text.empty() ? "" : absl::StrCat("`", text, "`");
}

std::string KeyPath(const TableSchema& table, const Option& option) {
  return absl::StrCat(table.path, table.path.empty() ? "" : ".", option.key);
}

// The options that do something first.
std::vector<const Option*> Options(const TableSchema& table, bool with_effect) {
  std::vector<const Option*> options;
  for (const Option& option : table.options) {
    if (option.has_no_effect != with_effect) options.push_back(&option);
  }
  return options;
}

std::string IgnoredKeys(const TableSchema& table) {
  const std::vector<const Option*> ignored = Options(table, false);
  if (ignored.empty()) return "";
  return absl::StrCat("Accepted for compatibility, without effect: ",
                      absl::StrJoin(ignored, ", ",
                                    [](std::string* out, const Option* option) {
                                      absl::StrAppend(out, "`", option->key,
                                                      "`");
                                    }),
                      ".");
}

std::string AliasText(const Option& option) {
  return option.alias.empty()
             ? ""
             : absl::StrCat(" Also called `", option.alias, "`.");
}

// ---- Markdown -------------------------------------------------------------

std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}});
}

void AppendMarkdownTable(const TableSchema& table, std::string& out) {
  out += "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const Option* option : Options(table, true)) {
    absl::StrAppend(
        &out, "| `", option->key, "` | ", Cell(TypeText(*option->shape)), " | ",
        option->is_required ? "required" : Cell(DefaultText(*option)), " | ",
        Cell(option->doc), Cell(AliasText(*option)), " |\n");
  }
  const std::string ignored = IgnoredKeys(table);
  if (!ignored.empty()) absl::StrAppend(&out, "\n", ignored, "\n");
}

// ---- man(7) ---------------------------------------------------------------

// Text for roff: escapes, and `code` and **words** in bold. At the beginning
// of a line '.' and '\'' would be requests.
std::string Roff(absl::string_view text) {
  std::string out;
  bool is_bold = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const absl::string_view rest = text.substr(i);
    if (absl::StartsWith(rest, "**") || rest[0] == '`') {
      if (rest[0] == '*') ++i;
      is_bold = !is_bold;
      out += is_bold ? "\\fB" : "\\fR";
    } else if (rest[0] == '\\') {
      out += "\\e";
    } else if (rest[0] == '-') {
      out += "\\-";
    } else if ((rest[0] == '.' || rest[0] == '\'') &&
               (out.empty() || out.back() == '\n')) {
      absl::StrAppend(&out, "\\&", rest.substr(0, 1));
    } else {
      out += rest[0];
    }
  }
  return out;
}

// For the place after a heading, which begins the first paragraph by itself.
void AppendRoffParagraphs(absl::string_view text, std::string& out) {
  bool is_code = false;
  bool is_first = true;
  for (absl::string_view paragraph : absl::StrSplit(text, "\n\n")) {
    const bool is_code_now = absl::StartsWith(paragraph, "    ");
    if (is_code && !is_code_now) out += ".fi\n.RE\n";
    if (!is_first) out += is_code && is_code_now ? ".sp\n" : ".PP\n";
    is_first = false;
    if (!is_code && is_code_now) out += ".RS 4\n.nf\n";
    is_code = is_code_now;
    for (absl::string_view line : absl::StrSplit(paragraph, '\n')) {
      if (is_code) line.remove_prefix(4);
      absl::StrAppend(&out, Roff(line), "\n");
    }
  }
  if (is_code) out += ".fi\n.RE\n";
}

void AppendManTable(const TableSchema& table, std::string& out) {
  for (const Option* option : Options(table, true)) {
    absl::StrAppend(&out, ".TP\n.B ", Roff(KeyPath(table, *option)), "\n",
                    Roff(absl::StrCat("(", TypeText(*option->shape), ")")),
                    "\n", Roff(option->doc), Roff(AliasText(*option)), "\n");
    const std::string default_text = DefaultText(*option);
    if (option->is_required) {
      out += "Required.\n";
    } else if (!default_text.empty()) {
      absl::StrAppend(&out, Roff(absl::StrCat("Default: ", default_text)),
                      ".\n");
    }
  }
  const std::string ignored = IgnoredKeys(table);
  if (!ignored.empty()) absl::StrAppend(&out, ".PP\n", Roff(ignored), "\n");
}

// ---- JSON Schema ----------------------------------------------------------

Value Text(absl::string_view text) { return Value(std::string(text)); }

Value::Member Member(absl::string_view key, Value value) {
  return {std::string(key), {}, std::move(value)};
}

// Documentation as plain text.
std::string Plain(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"`", ""}, {"**", ""}});
}

// What refers to the definition of a table; `definitions` gets its name.
std::string DefinitionName(const TableSchema& table) {
  return table.path.empty() ? "root" : std::string(table.path);
}

// Null, or what `schema` says. Not "anyOf": editors then only say that
// neither fits.
Value::Table OrNull(Value schema) {
  return {Member("if", Value(Value::Table{Member("type", Text("null"))})),
          Member("else", std::move(schema))};
}

Value ShapeAsJson(const Shape& shape) {
  Value::Table out;
  switch (shape.kind) {
    case Shape::Kind::kBoolean:
      out.push_back(Member("type", Text("boolean")));
      break;
    case Shape::Kind::kInteger:
    case Shape::Kind::kNumber:
      out.push_back(Member(
          "type",
          Text(shape.kind == Shape::Kind::kInteger ? "integer" : "number")));
      out.push_back(Member("minimum", Value(shape.minimum)));
      out.push_back(Member("maximum", Value(shape.maximum)));
      break;
    case Shape::Kind::kText:
      if (!shape.words.empty()) {
        Value::Array words;
        for (absl::string_view word : shape.words) words.push_back(Text(word));
        out.push_back(Member("enum", Value(std::move(words))));
        break;
      }
      out.push_back(Member("type", Text("string")));
      if (!shape.pattern.empty()) {
        out.push_back(Member("pattern", Text(shape.pattern)));
      }
      break;
    case Shape::Kind::kList:
      out.push_back(Member("type", Text("array")));
      out.push_back(Member("items", ShapeAsJson(*shape.first)));
      break;
    case Shape::Kind::kTable:
      out.push_back(
          Member("$ref",
                 Text(absl::StrCat("#/$defs/", DefinitionName(*shape.table)))));
      break;
    case Shape::Kind::kMap:
      out.push_back(Member("type", Text("object")));
      if (!shape.pattern.empty()) {
        out.push_back(Member(
            "propertyNames",
            Value(Value::Table{Member("pattern", Text(shape.pattern))})));
      }
      out.push_back(Member("additionalProperties",
                           Value(OrNull(ShapeAsJson(*shape.first)))));
      break;
    case Shape::Kind::kEither:
      out.push_back(
          Member("anyOf", Value(Value::Array{ShapeAsJson(*shape.first),
                                             ShapeAsJson(*shape.second)})));
      break;
    case Shape::Kind::kAnything:
      break;
  }
  return Value(std::move(out));
}

// An option: null stands for "not set" everywhere.
Value OptionAsJson(const Option& option) {
  Value::Table out;
  std::string description = Plain(option.doc);
  const std::string default_text = DefaultText(option);
  if (option.has_no_effect) {
    description = absl::StrCat("Without effect: ", description);
  } else if (!default_text.empty()) {
    absl::StrAppend(&description, " Default: ", Plain(default_text));
  }
  out.push_back(Member("description", Text(description)));
  if (option.has_no_effect) out.push_back(Member("deprecated", Value(true)));
  if (option.shape->kind != Shape::Kind::kAnything) {
    Value shape = ShapeAsJson(*option.shape);
    Value::Table checks = option.is_required ? std::move(*shape.AsTable())
                                             : OrNull(std::move(shape));
    std::move(checks.begin(), checks.end(), std::back_inserter(out));
  }
  return Value(std::move(out));
}

Value TableAsJson(const TableSchema& table) {
  Value::Table properties;
  Value::Array required;
  Value::Array with_alias;
  for (const Option& option : table.options) {
    properties.push_back(Member(option.key, OptionAsJson(option)));
    const auto require = [](absl::string_view key) {
      return Value(
          Value::Table{Member("required", Value(Value::Array{Text(key)}))});
    };
    if (!option.alias.empty()) {
      properties.push_back(Member(option.alias, OptionAsJson(option)));
    }
    if (!option.is_required) continue;
    if (option.alias.empty()) {
      required.push_back(Text(option.key));
    } else {
      with_alias.push_back(Value(Value::Table{Member(
          "anyOf",
          Value(Value::Array{require(option.key), require(option.alias)}))}));
    }
  }
  Value::Table out = {
      Member("type", Text("object")),
      Member("description", Text(Plain(table.doc))),
      Member("properties", Value(std::move(properties))),
      Member("additionalProperties", Value(false)),
  };
  if (!required.empty()) {
    out.push_back(Member("required", Value(std::move(required))));
  }
  if (!with_alias.empty()) {
    out.push_back(Member("allOf", Value(std::move(with_alias))));
  }
  return Value(std::move(out));
}

}  // namespace

std::string SchemaAsMarkdown(const TableSchema& root) {
  std::string out =
      "# The configuration file\n\n"
      "Generated from the table of options in `config/schema.cc`. "
      "`vmsilo.toml(5)` says the same; `config/vmsilo.schema.json` is for "
      "editors.\n";
  for (const Section& section : kBefore) {
    absl::StrAppend(&out, "\n## ", section.title, "\n\n", section.text, "\n");
  }
  out += "\n## Top level\n\n";
  AppendMarkdownTable(root, out);
  for (const TableSchema* table : TablesBelow(root)) {
    absl::StrAppend(&out, "\n## `", table->path, "`\n\n", table->doc, "\n\n");
    AppendMarkdownTable(*table, out);
  }
  return out;
}

std::string SchemaAsManPage(const TableSchema& root) {
  std::string out = absl::StrCat(
      ".\\\" Generated from the table of options in config/schema.cc.\n"
      ".TH VMSILO.TOML 5 \"",
      kVersionDate,
      "\" vmsilo \"File formats\"\n"
      ".SH NAME\n"
      "vmsilo.toml \\- the configuration of vmsilo's silos\n"
      ".SH SYNOPSIS\n"
      ".B /etc/vmsilo/vmsilo.toml\n"
      ".br\n"
      ".B /etc/vmsilo/vmsilo.toml.d/*.toml\n"
      ".SH DESCRIPTION\n"
      "The user's silos, and what host and hypervisors need to know of "
      "them.\n");
  for (const Section& section : kBefore) {
    absl::StrAppend(&out, ".SS ", section.title, "\n");
    AppendRoffParagraphs(section.text, out);
  }
  out += ".SH OPTIONS\n.SS Top level\n";
  AppendManTable(root, out);
  for (const TableSchema* table : TablesBelow(root)) {
    absl::StrAppend(&out, ".SS ", Roff(table->path), "\n", Roff(table->doc),
                    "\n");
    AppendManTable(*table, out);
  }
  out +=
      ".SH SEE ALSO\n"
      ".BR vmsilo (1),\n"
      ".BR vmsilo\\-unitgen (8),\n"
      ".BR systemd.unit (5)\n";
  return out;
}

std::string SchemaAsJsonSchema(const TableSchema& root) {
  Value::Table definitions;
  for (const TableSchema* table : TablesBelow(root)) {
    definitions.push_back(Member(DefinitionName(*table), TableAsJson(*table)));
  }
  Value schema = TableAsJson(root);
  Value::Table& out = *schema.AsTable();
  out.push_back(
      Member("$schema", Text("https://json-schema.org/draft/2020-12/schema")));
  out.push_back(Member("title", Text("vmsilo.toml")));
  out.push_back(Member("$defs", Value(std::move(definitions))));
  SortMembers(out);
  return absl::StrCat(ToJson(schema, 2), "\n");
}

}  // namespace vmsilo::config
