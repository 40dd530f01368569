#include "unitgen/manifest.h"

#include <sha256.h>

#include <algorithm>
#include <cstdint>
#include <optional>
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
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"

namespace vmsilo::unitgen {
namespace {

std::string Sha256(absl::string_view bytes) {
  char digest[SHA256_DIGEST_STRING_LENGTH] = {};
  // Fails only when memory is out, and then only for a buffer of its own.
  SHA256Data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
             digest);
  return digest;
}

constexpr int64_t kManifestVersion = 1;

bool IsSha256(absl::string_view text) {
  return text.size() == SHA256_DIGEST_STRING_LENGTH - 1 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  (c >= 'a' && c <= 'f');
         });
}

Value String(absl::string_view text) { return Value(std::string(text)); }

Value ToValue(const Fingerprint& fingerprint) {
  if (fingerprint.kind == File::Kind::kSymlink) {
    return Value(Value::Table{{"link", {}, String(fingerprint.target)}});
  }
  return Value(Value::Table{
      {"mode", {}, String(absl::StrFormat("%04o", fingerprint.mode))},
      {"sha256", {}, String(fingerprint.sha256)},
      {"size", {}, Value(static_cast<int64_t>(fingerprint.size))},
  });
}

// The mode as PrintManifest() writes it: four octal digits.
std::optional<mode_t> ParseMode(absl::string_view text) {
  if (text.size() != 4 ||
      text.find_first_not_of("01234567") != absl::string_view::npos) {
    return std::nullopt;
  }
  mode_t mode = 0;
  for (const char digit : text) mode = mode * 8 + (digit - '0');
  return mode;
}

const std::string* FindString(const Value& table, absl::string_view key) {
  const Value* value = table.Find(key);
  return value == nullptr ? nullptr : value->AsString();
}

// nullopt for what ToValue() cannot have made.
std::optional<Fingerprint> FingerprintFrom(const Value& value) {
  if (!value.is_table()) return std::nullopt;
  const size_t members = value.AsTable()->size();
  Fingerprint print;
  if (const std::string* link = FindString(value, "link"); link != nullptr) {
    if (members != 1) return std::nullopt;
    print.kind = File::Kind::kSymlink;
    print.target = *link;
    return print;
  }
  const std::string* mode = FindString(value, "mode");
  const std::string* sha256 = FindString(value, "sha256");
  const Value* size = value.Find("size");
  if (members != 3 || mode == nullptr || sha256 == nullptr ||
      !IsSha256(*sha256) || size == nullptr || size->AsInteger() == nullptr ||
      *size->AsInteger() < 0) {
    return std::nullopt;
  }
  const std::optional<mode_t> bits = ParseMode(*mode);
  if (!bits.has_value()) return std::nullopt;
  print.mode = *bits;
  print.size = static_cast<uint64_t>(*size->AsInteger());
  print.sha256 = *sha256;
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
  Value::Array directories;
  for (const std::string& path : manifest.directories) {
    directories.push_back(String(path));
  }
  Value::Table files;
  for (const auto& [path, fingerprints] : manifest.files) {
    Value::Array list;
    for (const Fingerprint& one : fingerprints) list.push_back(ToValue(one));
    files.push_back({path, {}, Value(std::move(list))});
  }
  const Value root(Value::Table{
      {"directories", {}, Value(std::move(directories))},
      {"files", {}, Value(std::move(files))},
      {"version", {}, Value(kManifestVersion)},
  });
  return ToJson(root, 1) + "\n";
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view json) {
  VMSILO_ASSIGN_OR_RETURN(const Value root, ParseJson(json));
  const Value* version = root.Find("version");
  if (version == nullptr) {
    return absl::InvalidArgumentError("no version in it");
  }
  if (*version != Value(kManifestVersion)) {
    return absl::InvalidArgumentError(
        "it is of another version of vmsilo-unitgen");
  }
  const Value* directories = root.Find("directories");
  const Value* files = root.Find("files");
  if (root.AsTable()->size() != 3 || directories == nullptr ||
      !directories->is_array() || files == nullptr || !files->is_table()) {
    return absl::InvalidArgumentError("not the lists of directories and files");
  }
  Manifest manifest;
  for (const Value& directory : *directories->AsArray()) {
    if (directory.AsString() == nullptr) {
      return absl::InvalidArgumentError("a directory that is not a path");
    }
    VMSILO_RETURN_IF_ERROR(CheckPath(*directory.AsString()));
    manifest.directories.insert(*directory.AsString());
  }
  for (const Value::Member& file : *files->AsTable()) {
    VMSILO_RETURN_IF_ERROR(CheckPath(file.key));
    const Value::Array* list = file.value.AsArray();
    if (list == nullptr || list->empty() || list->size() > kMaxFingerprints) {
      return absl::InvalidArgumentError(
          absl::StrCat("no fingerprints, or too many, for ", Quoted(file.key)));
    }
    for (const Value& one : *list) {
      std::optional<Fingerprint> print = FingerprintFrom(one);
      if (!print.has_value()) {
        return absl::InvalidArgumentError(
            absl::StrCat("a malformed fingerprint of ", Quoted(file.key)));
      }
      manifest.files[file.key].push_back(*std::move(print));
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
