#include "unitgen/context.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/escape.h"
#include "common/systemd_quote.h"

namespace vmsilo::unitgen {

std::string Context::Exec(absl::string_view prefix,
                          const std::vector<std::string>& argv,
                          absl::string_view key) {
  std::string line(prefix);
  const std::optional<std::string> program = QuoteExecProgram(argv.front());
  if (!program.has_value()) {
    Error(key, absl::StrCat("systemd cannot start ", Quoted(argv.front()),
                            ": it takes absolute paths without quotes, "
                            "backslashes and control characters"));
    return line;
  }
  size_t size = line.size() + program->size();
  // Two quotes and a blank each; escapes are rare.
  for (const std::string& argument : argv) size += argument.size() + 3;
  line.reserve(size);
  line.append(*program);
  for (size_t i = 1; i < argv.size(); ++i) {
    line.push_back(' ');
    AppendExecArgument(argv[i], &line);
  }
  return line;
}

std::string Context::Path(absl::string_view path, absl::string_view key) {
  std::optional<std::string> quoted = QuotePath(path);
  if (quoted.has_value()) return *std::move(quoted);
  Error(key, absl::StrCat("systemd cannot be told the path ", Quoted(path),
                          ": it must be absolute UTF-8 without control "
                          "characters, with one kind of quotes at most"));
  return std::string();
}

std::string Context::Environment(absl::string_view name,
                                 absl::string_view value,
                                 absl::string_view key) {
  std::optional<std::string> quoted = QuoteEnvironment(name, value);
  if (quoted.has_value()) return *std::move(quoted);
  Error(key, absl::StrCat("systemd cannot pass on the value ", Quoted(value),
                          ": it must be UTF-8 without control characters"));
  return std::string();
}

void Context::Emit(Unit unit) {
  if (AddUnit(unit, &output_)) return;
  const std::string first =
      unit.keys.empty() ? std::string("vms") : unit.keys.front();
  const File& other = output_.files.at(UnitPath(unit));
  Error(first,
        absl::StrCat("two units would be called ", unit.name, ": one that ",
                     unit.reason, ", and one that ", other.reason));
}

void Context::EmitFile(std::string path, File file) {
  output_.files.insert_or_assign(std::move(path), std::move(file));
}

void Context::Error(absl::string_view key, absl::string_view message) {
  errors_.push_back(absl::StrCat(key, ": ", message));
}

absl::Status Context::status() const {
  if (errors_.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
}

std::string WaitCommand(const std::vector<std::string>& arguments,
                        Context* context) {
  std::vector<std::string> argv = {context->config().paths.prepare, "wait"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--timeout", "15s", "--pid"});
  // A variable of systemd's.
  return absl::StrCat(context->Exec("", argv, "paths.prepare"), " $MAINPID");
}

std::string VmKey(const config::Vm& vm) {
  return absl::StrCat("vms.", vm.name);
}

std::string VmKey(const config::Vm& vm, absl::string_view option) {
  return absl::StrCat("vms.", vm.name, ".", option);
}

}  // namespace vmsilo::unitgen
