#include "unitgen/commands.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/escape.h"
#include "common/exit_codes.h"
#include "common/file.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "config/diagnostics.h"
#include "config/layout.h"
#include "config/load.h"
#include "unitgen/child.h"
#include "unitgen/diff.h"
#include "unitgen/error_unit.h"
#include "unitgen/explain.h"
#include "unitgen/generator_mode.h"
#include "unitgen/graph.h"
#include "unitgen/host_checks.h"
#include "unitgen/install.h"
#include "unitgen/install_plan.h"
#include "unitgen/install_report.h"
#include "unitgen/mode.h"
#include "unitgen/output.h"
#include "unitgen/pipeline.h"
#include "unitgen/tree.h"
#include "unitgen/unit_graph.h"

namespace vmsilo::unitgen {
namespace {

// A drawing of a hundred silos takes `dot` half a minute.
constexpr absl::Duration kDotTimeout = absl::Minutes(5);
constexpr size_t kMaxSvgBytes = size_t{64} << 20;

absl::Status Print(absl::string_view text) {
  return WriteAll(STDOUT_FILENO, text);
}

bool HasColour(int fd) {
  const char* no_color = getenv("NO_COLOR");
  return isatty(fd) != 0 && (no_color == nullptr || *no_color == '\0');
}

// As compilers do, so that editors find the place.
void PrintDiagnostics(const std::vector<config::Diagnostic>& diagnostics) {
  const bool has_colour = HasColour(STDERR_FILENO);
  std::string text;
  for (const config::Diagnostic& one : diagnostics) {
    std::string line = config::ToString(one);
    if (has_colour) {
      const absl::string_view word = config::ToString(one.severity);
      const absl::string_view colour =
          one.severity == config::Severity::kError     ? "31;1"
          : one.severity == config::Severity::kWarning ? "33;1"
                                                       : "36";
      // The first one is the severity: file names have no blank before it.
      const size_t at = line.find(absl::StrCat(word, ": "));
      if (at != std::string::npos) {
        line.replace(at, word.size(),
                     absl::StrCat("\x1b[", colour, "m", word, "\x1b[0m"));
      }
    }
    absl::StrAppend(&text, line, "\n");
  }
  // The exit code tells the same to those who cannot see it.
  (void)WriteAll(STDERR_FILENO, text);
}

config::LoadOptions LoadOptionsOf(const Flags& flags) {
  config::LoadOptions options;
  if (!flags.config.empty()) options.file = flags.config;
  if (flags.root != "/") options.root = flags.root;
  return options;
}

std::string Count(size_t count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// Prints what there is to say, and fails if nothing was generated.
absl::StatusOr<Generated> GenerateAndReport(const Flags& flags) {
  Generated generated = GenerateFrom(LoadOptionsOf(flags), Mode());
  PrintDiagnostics(generated.diagnostics);
  if (generated.output.has_value()) return generated;
  const size_t errors = static_cast<size_t>(
      std::count_if(generated.diagnostics.begin(), generated.diagnostics.end(),
                    [](const config::Diagnostic& one) {
                      return one.severity == config::Severity::kError;
                    }));
  return WithExitCode(
      absl::InvalidArgumentError(absl::StrCat(
          "the configuration cannot be used: ", Count(errors, "error"))),
      kExitConfig);
}

std::vector<DrawnSilo> SilosOf(const config::Config& config) {
  std::vector<DrawnSilo> silos;
  for (const config::Vm& vm : config.vms) silos.push_back({vm.name, vm.color});
  return silos;
}

absl::Status NeedsRoot(const Flags& flags) {
  if (flags.root != "/" || geteuid() == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "this changes files of the system and needs root; --root DIR works on a "
      "tree of your own");
}

// Opens the tree, keeps others out, and refuses where a generator would hide
// or double what is installed.
absl::StatusOr<std::unique_ptr<DirectoryTree>> OpenForInstall(
    const Flags& flags) {
  VMSILO_RETURN_IF_ERROR(NeedsRoot(flags));
  VMSILO_ASSIGN_OR_RETURN(std::unique_ptr<DirectoryTree> tree,
                          DirectoryTree::Open(flags.root));
  VMSILO_RETURN_IF_ERROR(MakeManifestDirectory(tree.get()));
  const absl::Status locked = tree->Lock(kManifestDirectory);
  if (absl::IsUnavailable(locked)) return WithExitCode(locked, kExitTryLater);
  VMSILO_RETURN_IF_ERROR(locked);
  return tree;
}

absl::Status RefuseBesideGenerator(DirectoryTree* tree) {
  VMSILO_ASSIGN_OR_RETURN(const std::string generator, ActiveGenerator(tree));
  if (generator.empty()) return absl::OkStatus();
  return WithExitCode(
      absl::FailedPreconditionError(absl::StrCat(
          tree->Shown(generator),
          " is active: systemd has vmsilo-unitgen make the units at every "
          "boot and reload, and installed ones would hide them. Use one of "
          "the two; to switch the generator off: ln -s /dev/null "
          "/etc/systemd/system-generators/vmsilo-unitgen")),
      kExitConfig);
}

absl::Status ReportInstall(const Flags& flags, const InstallPlan& plan) {
  for (const auto& [paths, what] :
       {std::pair(&plan.create, "made "), std::pair(&plan.replace, "replaced "),
        std::pair(&plan.remove, "removed ")}) {
    for (const std::string& path : *paths) VLOG(1) << what << path;
  }
  for (const std::string& line : DescribeKept(plan, flags.root)) {
    LOG(WARNING) << line;
  }
  std::string text = absl::StrCat(DescribeInstall(plan), "\n");
  const std::vector<std::string> steps = NextSteps(plan);
  if (flags.root == "/" && !steps.empty()) {
    absl::StrAppend(&text, "To make it effective:\n");
    for (const std::string& step : steps) {
      absl::StrAppend(&text, "  ", step, "\n");
    }
  }
  return Print(text);
}

// Every directory above a path below an output directory.
absl::Status MakeParents(absl::string_view path, std::set<std::string>* made,
                         Tree* tree) {
  for (size_t slash = path.find('/'); slash != absl::string_view::npos;
       slash = path.find('/', slash + 1)) {
    if (!made->insert(std::string(path.substr(0, slash))).second) continue;
    VMSILO_RETURN_IF_ERROR(tree->MakeDirectory(path.substr(0, slash)));
  }
  return absl::OkStatus();
}

// Fills an empty directory. A failure leaves it as empty as it was: a part of
// the units would look like all of them.
absl::Status WriteTree(const Output& output, Tree* tree) {
  std::set<std::string> made;
  absl::Status status;
  for (auto file = output.files.begin();
       status.ok() && file != output.files.end(); ++file) {
    status = MakeParents(file->first, &made, tree);
    if (status.ok()) status = tree->Stage(file->first, file->second);
    if (status.ok()) status = tree->Commit(file->first, /*replace=*/false);
  }
  if (status.ok()) return status;
  // As far as it goes; the failure itself is what the caller has to hear of.
  for (const auto& [path, file] : output.files) {
    (void)tree->Discard(path);
    (void)tree->Remove(path);
  }
  for (auto directory = made.rbegin(); directory != made.rend(); ++directory) {
    (void)tree->RemoveDirectory(*directory);
  }
  return Annotate(status, "nothing was generated");
}

absl::StatusOr<bool> IsEmptyDirectory(const std::string& path) {
  std::error_code error;
  const bool is_empty = std::filesystem::is_empty(path, error);
  if (error) return ErrnoStatus(error.value(), Quoted(path));
  return is_empty;
}

// `text` drawn by Graphviz.
absl::StatusOr<std::string> ToSvg(absl::string_view text) {
  absl::StatusOr<ChildResult> result =
      RunChild({"dot", "-Tsvg"}, text, kDotTimeout, kMaxSvgBytes);
  if (absl::IsNotFound(result.status())) {
    return absl::NotFoundError(
        "--svg needs the program dot: install graphviz, or leave --svg out "
        "and draw the text elsewhere");
  }
  VMSILO_RETURN_IF_ERROR(result.status());
  if (result->exit_status != 0) {
    return absl::InternalError(absl::StrCat(
        "dot refused the drawing with exit code ", result->exit_status));
  }
  return std::move(result->out);
}

// Whether neither of the files that would be read exists.
bool IsUnconfigured(const Flags& flags, const Generated& generated) {
  return flags.config.empty() && generated.load.files.empty() &&
         access(std::string(layout::kConfigFile).c_str(), F_OK) != 0 &&
         access("/etc/vmsilo/vmsilo.json", F_OK) != 0;
}

std::string OwnPath() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  if (size <= 0 || size == sizeof(path)) return "/usr/bin/vmsilo-unitgen";
  return std::string(path, static_cast<size_t>(size));
}

// What there was before the configuration broke.
absl::StatusOr<Output> KeptUnits(const Flags& flags) {
  return ReadUnits(
      absl::StrCat(flags.root == "/" ? "" : flags.root, kKeptUnits));
}

bool EnvironmentIs(const char* name, absl::string_view value) {
  const char* is = getenv(name);
  return is != nullptr && value == is;
}

}  // namespace

absl::Status Check(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  const config::Config& config = *generated.load.config;
  std::string text = absl::StrCat(
      "the configuration is valid: ", Count(config.vms.size(), "silo"), ", ",
      Count(generated.output->files.size(), "file"),
      config.enable ? "" : "; it is switched off (enable = false)", "\n");
  for (const std::string& line : DescribeBoot(config)) {
    absl::StrAppend(&text, line, "\n");
  }
  if (!flags.configuration_only && config.enable) {
    RealHost host;
    std::vector<config::Diagnostic> diagnostics;
    for (const Warning& warning : CheckHost(config, *generated.output, &host)) {
      diagnostics.push_back(DiagnosticAt(generated.load,
                                         config::Severity::kWarning,
                                         warning.key, warning.message));
    }
    PrintDiagnostics(diagnostics);
    for (const std::string& line : DescribeSupport(config, &host)) {
      absl::StrAppend(&text, line, "\n");
    }
  }
  return Print(text);
}

absl::Status GenerateInto(const Flags& flags) {
  if (flags.output.empty()) {
    return WithExitCode(
        absl::InvalidArgumentError("generate needs --output DIR"), kExitUsage);
  }
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  const bool is_made = mkdir(flags.output.c_str(), 0755) == 0;
  if (!is_made && errno != EEXIST) {
    return ErrnoStatus(absl::StrCat("make ", Quoted(flags.output)));
  }
  // What an earlier configuration left would look like a part of this one.
  VMSILO_ASSIGN_OR_RETURN(const bool is_empty, IsEmptyDirectory(flags.output));
  if (!is_empty) {
    return absl::FailedPreconditionError(absl::StrCat(
        Quoted(flags.output), " is not empty; give a new directory"));
  }
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<DirectoryTree> tree,
                          DirectoryTree::Open(flags.output));
  if (absl::Status status = WriteTree(*generated.output, tree.get());
      !status.ok()) {
    if (is_made) (void)rmdir(flags.output.c_str());
    return status;
  }
  return Print(absl::StrCat(Count(generated.output->files.size(), "file"),
                            " below ", flags.output, "\n"));
}

absl::Status Diff(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<DirectoryTree> tree,
                          DirectoryTree::Open(flags.root));
  if (const auto generator = ActiveGenerator(tree.get());
      generator.ok() && !generator->empty()) {
    LOG(WARNING) << tree->Shown(*generator)
                 << " is active: the units in use are below "
                    "/run/systemd/generator, and this compares with /etc";
  }
  VMSILO_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(tree.get()));
  const std::map<std::string, File> wanted = InstalledFiles(*generated.output);
  VMSILO_ASSIGN_OR_RETURN(const Nodes present,
                          LookAt(PathsToLookAt(wanted, manifest), tree.get()));
  const std::string text = DiffInstalled(wanted, manifest, present);
  for (const std::string& line :
       DescribeKept(PlanInstall(wanted, manifest, present), flags.root)) {
    LOG(WARNING) << line;
  }
  if (text.empty()) return absl::OkStatus();
  VMSILO_RETURN_IF_ERROR(
      Print(HasColour(STDOUT_FILENO) ? Coloured(text) : text));
  return WithExitCode(absl::CancelledError(""), 1);
}

absl::Status InstallFiles(const Flags& flags) {
  VMSILO_RETURN_IF_ERROR(NeedsRoot(flags));
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<DirectoryTree> tree,
                          OpenForInstall(flags));
  VMSILO_RETURN_IF_ERROR(RefuseBesideGenerator(tree.get()));
  VMSILO_ASSIGN_OR_RETURN(const InstallPlan plan,
                          Install(*generated.output, tree.get()));
  return ReportInstall(flags, plan);
}

absl::Status Uninstall(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<DirectoryTree> tree,
                          OpenForInstall(flags));
  VMSILO_ASSIGN_OR_RETURN(const InstallPlan plan,
                          Install(Output(), tree.get()));
  return ReportInstall(flags, plan);
}

absl::Status ListFiles(const Flags& flags) {
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  return Print(List(*generated.output, flags.paths));
}

absl::Status Graph(const Flags& flags, const std::string& silo) {
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  const config::Config& config = *generated.load.config;
  if (!silo.empty() && config.FindVm(silo) == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("the configuration has no silo called ", Quoted(silo)));
  }
  VMSILO_ASSIGN_OR_RETURN(const UnitGraph graph, BuildGraph(*generated.output));
  std::string text = DrawGraph(*generated.output, graph, SilosOf(config), silo);
  if (flags.svg) {
    VMSILO_ASSIGN_OR_RETURN(text, ToSvg(text));
  }
  return Print(text);
}

absl::Status ExplainUnit(const Flags& flags, const std::string& unit) {
  VMSILO_ASSIGN_OR_RETURN(const Generated generated, GenerateAndReport(flags));
  VMSILO_ASSIGN_OR_RETURN(const UnitGraph graph, BuildGraph(*generated.output));
  VMSILO_ASSIGN_OR_RETURN(
      const std::string text,
      Explain(*generated.output, graph, unit, [&](absl::string_view key) {
        return OriginText(generated.load, key);
      }));
  return Print(text);
}

int RunGenerator(const Flags& flags, const std::string& directory) {
  // A user's manager has its own directory of generators, and an initrd has
  // no silos.
  if (EnvironmentIs("SYSTEMD_SCOPE", "user") ||
      EnvironmentIs("SYSTEMD_IN_INITRD", "1")) {
    return 0;
  }
  // Never destroyed: a boot waits for this program, and to free 100,000 small
  // pieces before the process ends would take longer than to start it. Static,
  // so that leak detectors see it in use.
  static const Generated& generated = *new Generated(
      GenerateFrom(LoadOptionsOf(flags), Mode{.is_generator = true}));
  std::vector<std::string> errors;
  if (generated.output.has_value()) {
    const absl::Status status = WriteUnits(directory, *generated.output);
    if (status.ok()) return 0;
    errors.push_back(
        absl::StrCat("units could not be written: ", status.message()));
  } else if (IsUnconfigured(flags, generated)) {
    return 0;
  }
  for (const config::Diagnostic& one : generated.diagnostics) {
    if (one.severity == config::Severity::kError) {
      errors.push_back(config::ToString(one));
    }
  }

  const char* exec_pid = getenv("SYSTEMD_EXEC_PID");
  GeneratorLog log(exec_pid == nullptr ? "" : exec_pid);
  for (size_t i = 0; i < errors.size() && i < kMaxReportedMessages; ++i) {
    log.Error(errors[i]);
  }
  const std::string file =
      flags.config.empty() ? std::string(layout::kConfigFile) : flags.config;
  Output output = ErrorOutput(errors, OwnPath(), file);
  // At a boot there are none. Later, silos may run: those are to stop as they
  // would have.
  absl::StatusOr<Output> kept = KeptUnits(flags);
  if (kept.ok()) {
    output.files.merge(kept->files);
  } else {
    log.Error(absl::StrCat("no unit could be kept: ", kept.status().message()));
  }
  const absl::Status status = WriteUnits(directory, output);
  if (!status.ok()) {
    log.Error(absl::StrCat(kErrorUnit,
                           " could not be written either: ", status.message()));
  }
  return kExitConfig;
}

}  // namespace vmsilo::unitgen
