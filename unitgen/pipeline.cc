#include "unitgen/pipeline.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "unitgen/generate.h"
#include "unitgen/overrides.h"

namespace vmsilo::unitgen {
namespace {

// One "KEY: message" a line.
void AddErrors(const absl::Status& status, Generated* generated) {
  for (const absl::string_view line :
       absl::StrSplit(status.message(), '\n', absl::SkipEmpty())) {
    const size_t colon = line.find(": ");
    const bool has_key = colon != absl::string_view::npos;
    generated->diagnostics.push_back(
        DiagnosticAt(generated->load, config::Severity::kError,
                     has_key ? line.substr(0, colon) : "",
                     has_key ? line.substr(colon + 2) : line));
  }
}

// The errors of `units` show only beside what is generated. Those of generating
// may follow from the ones that are known.
void CheckDraft(const Mode& mode, Generated* generated) {
  if (!generated->load.draft.has_value()) return;
  const config::Config& draft = *generated->load.draft;
  absl::StatusOr<Output> output = Generate(draft, mode);
  if (!output.ok()) return;
  AddErrors(ApplyOverrides(draft, UnknownUnit::kRefuseImpossible, &*output),
            generated);
}

}  // namespace

Generated GenerateFrom(const config::LoadOptions& options, const Mode& mode) {
  Generated generated;
  generated.load = config::Load(options);
  generated.diagnostics = generated.load.diagnostics;
  if (!generated.load.ok()) {
    if (!mode.is_generator) CheckDraft(mode, &generated);
    return generated;
  }

  absl::StatusOr<Output> output = Generate(*generated.load.config, mode);
  if (!output.ok()) {
    AddErrors(output.status(), &generated);
    return generated;
  }
  if (const absl::Status status = ApplyOverrides(
          *generated.load.config,
          mode.is_generator ? UnknownUnit::kIgnore : UnknownUnit::kRefuse,
          &*output);
      !status.ok()) {
    AddErrors(status, &generated);
    return generated;
  }
  for (const Warning& warning : output->warnings) {
    generated.diagnostics.push_back(DiagnosticAt(generated.load,
                                                 config::Severity::kWarning,
                                                 warning.key, warning.message));
  }
  generated.output = *std::move(output);
  return generated;
}

config::Diagnostic DiagnosticAt(const config::LoadResult& load,
                                config::Severity severity,
                                absl::string_view key,
                                absl::string_view message) {
  config::Diagnostic diagnostic;
  diagnostic.severity = severity;
  diagnostic.key = std::string(key);
  diagnostic.message = std::string(message);
  if (const std::optional<config::Origin> origin = load.OriginOf(key);
      origin.has_value()) {
    diagnostic.file = origin->file;
    diagnostic.line = origin->line;
    diagnostic.column = origin->column;
  } else if (!load.files.empty()) {
    diagnostic.file = load.files.back();
  }
  return diagnostic;
}

std::string OriginText(const config::LoadResult& load, absl::string_view key) {
  const std::optional<config::Origin> origin = load.OriginOf(key);
  if (!origin.has_value()) return "default";
  return absl::StrCat(origin->file, ":", origin->line, ":", origin->column);
}

}  // namespace vmsilo::unitgen
