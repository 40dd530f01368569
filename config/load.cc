#include "config/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file.h"
#include "common/json.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "common/toml.h"
#include "common/unique_fd.h"
#include "config/image.h"
#include "config/layout.h"
#include "config/resolve.h"
#include "config/schema.h"

namespace vmsilo::config {
namespace {

std::optional<Source::Format> FormatOf(absl::string_view path) {
  if (absl::EndsWith(path, ".toml")) return Source::Format::kToml;
  if (absl::EndsWith(path, ".json")) return Source::Format::kJson;
  return std::nullopt;
}

// The files of a drop-in directory, sorted; none if there is no directory.
absl::StatusOr<std::vector<std::string>> ListDropIns(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return names;
    return ErrnoStatus(absl::StrCat("cannot list ", path));
  }
  // An error in the middle looks like the end; a directory has none.
  while (const dirent* entry = readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (absl::StartsWith(name, ".") || !FormatOf(name)) continue;
    if (names.size() >= kMaxDropIns) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxDropIns, " files in ", path));
    }
    names.push_back(absl::StrCat(path, "/", name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> ReadIfReadable(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxUserDatabaseBytes);
  if (!text.ok()) return std::nullopt;
  return *std::move(text);
}

// The text of a regular file; the caller names the file. A FIFO would hold up
// whoever reads it, which may be the boot.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path,
                                            size_t max) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.is_valid()) return ErrnoStatus("cannot open it");
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return ErrnoStatus("cannot look at it");
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError("it is not a regular file");
  }
  return ReadAll(fd.get(), max);
}

// Adds the images that silos use and whose image.toml below `root` describes
// them. One that the configuration describes is not read.
void ReadImages(absl::string_view root, Config& config,
                std::vector<Diagnostic>& diagnostics) {
  std::set<std::string> names;
  for (const Vm& vm : config.vms) {
    if (vm.uses_image() && config.FindImage(*vm.image) == nullptr) {
      names.insert(*vm.image);
    }
  }
  std::vector<Image> found;
  for (const std::string& name : names) {
    const std::string path =
        absl::StrCat(root, layout::ImageDescription(config.image_dir, name));
    const absl::StatusOr<std::string> text =
        ReadRegularFile(path, kMaxImageDescriptionBytes);
    if (!text.ok()) {
      // Most images have none, and those that are missing altogether are told
      // from the machine's point of view (`vmsilo-unitgen check`).
      if (absl::IsNotFound(text.status())) continue;
      diagnostics.push_back(
          {.severity = Severity::kError,
           .file = path,
           .message = absl::IsResourceExhausted(text.status())
                          ? absl::StrCat("more than ",
                                         kMaxImageDescriptionBytes, " bytes")
                          : std::string(text.status().message())});
      continue;
    }
    ParsedImage parsed = ParseImage(path, *text);
    parsed.image.name = name;
    found.push_back(std::move(parsed.image));
    std::move(parsed.diagnostics.begin(), parsed.diagnostics.end(),
              std::back_inserter(diagnostics));
  }
  if (found.empty()) return;
  std::move(found.begin(), found.end(), std::back_inserter(config.images));
  std::sort(config.images.begin(), config.images.end(),
            [](const Image& a, const Image& b) { return a.name < b.name; });
}

// `is_complete` says whether the sources are all there are; without an
// `image_root`, no image is looked at.
LoadResult CompileSources(const std::vector<Source>& sources,
                          const UserDatabase& users, bool is_complete,
                          const std::string* image_root) {
  LoadResult result;
  for (const Source& source : sources) result.files.push_back(source.name);
  DiagnosticSink sink(result.files);
  Value tree(Value::Table(), Position{0, 1, 1});
  for (uint32_t i = 0; i < sources.size(); ++i) {
    ParsedText parsed = sources[i].format == Source::Format::kJson
                            ? ParseJsonText(sources[i].text, i)
                            : ParseTomlText(sources[i].text, i);
    for (TextError& error : parsed.errors) {
      sink.Add(Severity::kError, error.at, "", std::move(error.message));
    }
    if (!parsed.value) continue;
    if (!parsed.value->is_table()) {
      sink.Add(Severity::kError, parsed.value->at(), "",
               absl::StrCat("expected a table at the top, not ",
                            parsed.value->KindName()));
      continue;
    }
    NormalizeNames(*parsed.value, sink);
    MergeValue(tree, *std::move(parsed.value));
  }
  // What a syntax error hides would be missed by the checks across options,
  // and one error would bring others with it.
  is_complete = is_complete && !sink.has_errors();
  Config config = ReadConfig(tree, sink);
  std::vector<Diagnostic> of_images;
  if (is_complete) {
    ResolveImages(tree, config);
    if (image_root != nullptr) ReadImages(*image_root, config, of_images);
    Resolve(tree, users, config, sink);
  }
  if (is_complete && !sink.has_errors() && of_images.empty()) {
    result.config = std::move(config);
  } else if (is_complete) {
    result.draft = std::move(config);
  }
  result.diagnostics = sink.Take();
  std::move(of_images.begin(), of_images.end(),
            std::back_inserter(result.diagnostics));
  result.tree = std::move(tree);
  return result;
}

// Collects the files, and what is wrong with getting at them.
class Collector {
 public:
  // True if there is such a file.
  bool AddFile(const std::string& path, bool is_required) {
    const std::optional<Source::Format> format = FormatOf(path);
    if (!format) {
      Fail(path, "the name must end in .toml or .json");
      return false;
    }
    absl::StatusOr<std::string> text = ReadRegularFile(
        path, kMaxConfigBytes - std::min(bytes_, kMaxConfigBytes));
    if (text.ok()) {
      bytes_ += text->size();
      sources_.push_back({path, *std::move(text), *format});
      return true;
    }
    if (absl::IsNotFound(text.status())) {
      if (is_required) Fail(path, "there is no such file");
      return false;
    }
    if (absl::IsResourceExhausted(text.status())) {
      Fail(path, TooLarge(path));
    } else {
      Fail(path, std::string(text.status().message()));
    }
    return true;
  }

  void AddDirectory(const std::string& path) {
    const absl::StatusOr<std::vector<std::string>> files = ListDropIns(path);
    if (!files.ok()) {
      Fail(path, std::string(files.status().message()));
      return;
    }
    // A file that vanishes between listing and reading is not there.
    for (const std::string& file : *files) {
      AddFile(file, /*is_required=*/false);
    }
  }

  void Fail(const std::string& path, std::string message) {
    failures_.push_back({.severity = Severity::kError,
                         .file = path,
                         .message = std::move(message)});
  }

  LoadResult Finish(const UserDatabase& users, const std::string& root) && {
    LoadResult result = CompileSources(
        sources_, users, /*is_complete=*/failures_.empty(), &root);
    result.diagnostics.insert(result.diagnostics.begin(), failures_.begin(),
                              failures_.end());
    return result;
  }

 private:
  std::string TooLarge(const std::string& path) const {
    struct stat status = {};
    // What is no file, or is gone by now, has no size to tell.
    const bool has_size =
        stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    return absl::StrCat(
        has_size ? absl::StrCat("the file has ", status.st_size, " bytes; ")
                 : std::string(),
        "the configuration as a whole, with ", bytes_,
        " bytes before this file, may have ", kMaxConfigBytes);
  }

  std::vector<Source> sources_;
  std::vector<Diagnostic> failures_;
  size_t bytes_ = 0;
};

// Steps from a table to the member that `path` begins with, and takes it off
// `path`. A part without quotes may have dots, as names of silos can: the
// shortest that fits is taken.
const Value::Member* NextMember(const Value& value, absl::string_view& path) {
  if (absl::StartsWith(path, "\"")) {
    const size_t end = path.find('"', 1);
    if (end == absl::string_view::npos) return nullptr;
    const Value::Member* member = value.FindMember(path.substr(1, end - 1));
    path.remove_prefix(end + 1);
    return member;
  }
  for (size_t end = 0; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '.' && path[end] != '[') continue;
    const Value::Member* member = value.FindMember(path.substr(0, end));
    if (member == nullptr) continue;
    path.remove_prefix(end);
    return member;
  }
  return nullptr;
}

}  // namespace

std::optional<Origin> LoadResult::OriginOf(absl::string_view key) const {
  const Value* value = &tree;
  const Value::Member* member = nullptr;
  absl::string_view rest = key;
  while (!rest.empty()) {
    // Elements of a list are where the list is.
    if (absl::StartsWith(rest, "[")) break;
    if (absl::StartsWith(rest, ".")) rest.remove_prefix(1);
    member = NextMember(*value, rest);
    if (member == nullptr) return std::nullopt;
    value = &member->value;
  }
  if (member == nullptr || member->value.is_null() ||
      member->at.source >= files.size()) {
    return std::nullopt;
  }
  return Origin{files[member->at.source], member->at.line, member->at.column};
}

LoadResult Compile(const std::vector<Source>& sources,
                   const UserDatabase& users) {
  return CompileSources(sources, users, /*is_complete=*/true,
                        /*image_root=*/nullptr);
}

LoadResult Load(const LoadOptions& options) {
  Collector collector;
  if (options.file) {
    collector.AddFile(*options.file, /*is_required=*/true);
    collector.AddDirectory(absl::StrCat(*options.file, ".d"));
  } else {
    const std::string vendor = absl::StrCat(options.root, "/usr/lib/vmsilo");
    const std::string local = absl::StrCat(options.root, "/etc/vmsilo");
    bool has_main = collector.AddFile(absl::StrCat(vendor, "/vmsilo.toml"),
                                      /*is_required=*/false);
    collector.AddDirectory(absl::StrCat(vendor, "/vmsilo.toml.d"));
    has_main |= collector.AddFile(absl::StrCat(local, "/vmsilo.toml"),
                                  /*is_required=*/false) ||
                collector.AddFile(absl::StrCat(local, "/vmsilo.json"),
                                  /*is_required=*/false);
    collector.AddDirectory(absl::StrCat(local, "/vmsilo.toml.d"));
    if (!has_main) {
      collector.Fail(absl::StrCat(local, "/vmsilo.toml"),
                     "there is no such file; vmsilo.toml(5) says what belongs "
                     "into it");
    }
  }
  return std::move(collector).Finish(
      {.passwd = ReadIfReadable(absl::StrCat(options.root, "/etc/passwd")),
       .group = ReadIfReadable(absl::StrCat(options.root, "/etc/group"))},
      options.root);
}

}  // namespace vmsilo::config
