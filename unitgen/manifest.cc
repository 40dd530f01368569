#include "unitgen/manifest.h"

#include <sha256.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"

namespace vmsilo::unitgen {
namespace {

using Json = nlohmann::json;

std::string Sha256(absl::string_view bytes) {
  char digest[SHA256_DIGEST_STRING_LENGTH] = {};
  // Fails only when memory is out, and then only for a buffer of its own.
  SHA256Data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
             digest);
  return digest;
}

// Directories, files, fingerprints, and a value in each.
constexpr int kMaxDepth = 5;
constexpr int kManifestVersion = 1;

bool IsSha256(absl::string_view text) {
  return text.size() == SHA256_DIGEST_STRING_LENGTH - 1 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  (c >= 'a' && c <= 'f');
         });
}

Json ToJson(const Fingerprint& fingerprint) {
  if (fingerprint.kind == File::Kind::kSymlink) {
    return Json{{"link", fingerprint.target}};
  }
  return Json{{"mode", absl::StrFormat("%04o", fingerprint.mode)},
              {"size", fingerprint.size},
              {"sha256", fingerprint.sha256}};
}

absl::StatusOr<Fingerprint> FingerprintFrom(const Json& json) {
  const absl::Status malformed =
      absl::InvalidArgumentError("a malformed fingerprint");
  if (!json.is_object()) return malformed;
  Fingerprint print;
  if (const auto link = json.find("link"); link != json.end()) {
    if (json.size() != 1 || !link->is_string()) return malformed;
    print.kind = File::Kind::kSymlink;
    print.target = link->get<std::string>();
    return print;
  }
  const auto mode = json.find("mode");
  const auto size = json.find("size");
  const auto sha256 = json.find("sha256");
  if (json.size() != 3 || mode == json.end() || !mode->is_string() ||
      size == json.end() || !size->is_number_unsigned() ||
      sha256 == json.end() || !sha256->is_string()) {
    return malformed;
  }
  const std::string digits = mode->get<std::string>();
  if (digits.size() != 4 ||
      digits.find_first_not_of("01234567") != std::string::npos) {
    return malformed;
  }
  for (const char digit : digits) {
    print.mode = print.mode * 8 + static_cast<mode_t>(digit - '0');
  }
  print.size = size->get<uint64_t>();
  print.sha256 = sha256->get<std::string>();
  if (!IsSha256(print.sha256)) return malformed;
  return print;
}

absl::Status CheckPath(const std::string& path) {
  if (IsManifestPath(path)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a path that is not one: ", Quoted(path)));
}

}  // namespace

Fingerprint FingerprintOf(const File& file) {
  Fingerprint print;
  print.kind = file.kind;
  if (file.kind == File::Kind::kSymlink) {
    print.target = file.content;
    return print;
  }
  print.mode = file.mode & 07777;
  print.size = file.content.size();
  print.sha256 = Sha256(file.content);
  return print;
}

bool Matches(const Fingerprint& fingerprint, const Node& node) {
  if (fingerprint.kind == File::Kind::kSymlink) {
    return node.kind == Node::Kind::kSymlink &&
           node.content == fingerprint.target;
  }
  return node.kind == Node::Kind::kRegular && node.mode == fingerprint.mode &&
         node.content.size() == fingerprint.size &&
         Sha256(node.content) == fingerprint.sha256;
}

std::string PrintManifest(const Manifest& manifest) {
  Json files = Json::object();
  for (const auto& [path, fingerprints] : manifest.files) {
    Json& list = files[path] = Json::array();
    for (const Fingerprint& one : fingerprints) list.push_back(ToJson(one));
  }
  Json json = {{"version", kManifestVersion},
               {"directories", manifest.directories},
               {"files", std::move(files)}};
  // A path that is not UTF-8 cannot come from a configuration, which is.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view json) {
  bool too_deep = false;
  const Json root = Json::parse(
      json.begin(), json.end(),
      [&](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return !too_deep;
      },
      /*allow_exceptions=*/false);
  if (root.is_discarded() || too_deep) {
    return absl::InvalidArgumentError("not the JSON that was written");
  }
  const auto version = root.find("version");
  const auto directories = root.find("directories");
  const auto files = root.find("files");
  if (!root.is_object() || version == root.end()) {
    return absl::InvalidArgumentError("no version in it");
  }
  if (*version != kManifestVersion) {
    return absl::InvalidArgumentError(
        "it is of another version of vmsilo-unitgen");
  }
  if (root.size() != 3 || directories == root.end() ||
      !directories->is_array() || files == root.end() || !files->is_object()) {
    return absl::InvalidArgumentError("not the lists of directories and files");
  }
  Manifest manifest;
  for (const Json& directory : *directories) {
    if (!directory.is_string()) {
      return absl::InvalidArgumentError("a directory that is not a path");
    }
    VMSILO_RETURN_IF_ERROR(CheckPath(directory.get<std::string>()));
    manifest.directories.insert(directory.get<std::string>());
  }
  for (const auto& [path, list] : files->items()) {
    VMSILO_RETURN_IF_ERROR(CheckPath(path));
    if (!list.is_array() || list.empty() || list.size() > kMaxFingerprints) {
      return absl::InvalidArgumentError(
          absl::StrCat("no fingerprints, or too many, for ", Quoted(path)));
    }
    for (const Json& one : list) {
      VMSILO_ASSIGN_OR_RETURN(Fingerprint print, FingerprintFrom(one));
      manifest.files[path].push_back(std::move(print));
    }
  }
  return manifest;
}

bool IsManifestPath(absl::string_view path) {
  if (path.find('\0') != absl::string_view::npos) return false;
  for (const absl::string_view component : absl::StrSplit(path, '/')) {
    if (component.empty() || component == "." || component == "..") {
      return false;
    }
  }
  return true;
}

}  // namespace vmsilo::unitgen
