#include "prepare/give.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "prepare/owner.h"
#include "prepare/trusted_path.h"

namespace vmsilo::prepare {
namespace {

// Only root can read and write attributes of this kind.
constexpr char kAttribute[] = "trusted.vmsilo.owner";

// Three numbers of at most ten digits, and what is between them.
constexpr size_t kMaxNote = 40;

// Whose the file was, and whose it was made.
struct Note {
  Owner former;
  uid_t given_to = 0;
};

// Attributes cannot be set by a descriptor of O_PATH, but by its link.
std::string ProcPath(const TrustedPath& file) {
  return absl::StrCat("/proc/self/fd/", file.fd.get());
}

std::optional<Note> ParseNote(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ' ');
  if (parts.size() != 2) return std::nullopt;
  const absl::StatusOr<Owner> former = ParseOwner(parts[0]);
  const absl::StatusOr<Owner> given_to = ParseOwner(parts[1]);
  if (!former.ok() || !given_to.ok()) return std::nullopt;
  return Note{*former, given_to->uid};
}

// The note at the file, if there is one and the file has not changed hands
// since.
std::optional<Note> ReadNote(const TrustedPath& file) {
  std::array<char, kMaxNote> text;
  const ssize_t n =
      getxattr(ProcPath(file).c_str(), kAttribute, text.data(), text.size());
  if (n < 0) return std::nullopt;
  const std::optional<Note> note =
      ParseNote(absl::string_view(text.data(), static_cast<size_t>(n)));
  if (!note || (file.info.st_uid != note->given_to &&
                file.info.st_uid != note->former.uid)) {
    return std::nullopt;
  }
  return note;
}

void WriteNote(const TrustedPath& file, const std::string& path,
               const Note& note) {
  const std::string text =
      absl::StrCat(note.former.uid, ":", note.former.gid, " ", note.given_to);
  if (setxattr(ProcPath(file).c_str(), kAttribute, text.data(), text.size(),
               0) != 0) {
    LOG(WARNING) << "the owner of " << Quoted(path) << ", " << note.former.uid
                 << ":" << note.former.gid << ", cannot be noted there ("
                 << ErrnoStatus(kAttribute).message()
                 << "): it will be root's when the silo has stopped";
  }
}

absl::Status SetOwner(const TrustedPath& file, const std::string& path,
                      const Owner& owner) {
  if (fchownat(file.fd.get(), "", owner.uid, owner.gid, AT_EMPTY_PATH) != 0) {
    return ErrnoStatus(
        absl::StrCat("give ", Quoted(path), " to ", owner.uid, ":", owner.gid));
  }
  return absl::OkStatus();
}

absl::Status Refuse(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(Quoted(path), " ", why));
}

}  // namespace

absl::Status Give(const std::string& path, const Owner& to) {
  VMSILO_ASSIGN_OR_RETURN(const TrustedPath file, OpenTrusted(path));
  const bool is_regular = S_ISREG(file.info.st_mode);
  if (!is_regular && !S_ISSOCK(file.info.st_mode)) {
    return Refuse(path,
                  "is not a regular file; devices are named by their "
                  "paths below /dev");
  }
  if (file.info.st_nlink != 1) {
    return Refuse(path, absl::StrCat("has ", file.info.st_nlink,
                                     " names (hard links): it may be somebody "
                                     "else's file"));
  }
  const Owner current = {file.info.st_uid, file.info.st_gid};
  std::optional<Note> note = is_regular ? ReadNote(file) : std::nullopt;
  const Owner former = note ? note->former : current;
  // What others can put there is theirs, or it is not given away.
  if (!file.is_directory_trusted && former.uid != to.uid) {
    const bool is_theirs = file.directory_owner == 0
                               ? former.uid != 0
                               : former.uid == file.directory_owner;
    if (!is_theirs) {
      return Refuse(path,
                    absl::StrCat("belongs to user ", former.uid,
                                 ", but others than root can write to its "
                                 "directory, whose owner is user ",
                                 file.directory_owner,
                                 ": give the file to that user, or move it "
                                 "where only root can write"));
    }
  }
  if (is_regular && (note || current.uid != to.uid)) {
    WriteNote(file, path, {former, to.uid});
  }
  return SetOwner(file, path, {to.uid, 0});
}

absl::Status TakeBack(const std::string& path, const Owner& from) {
  VMSILO_ASSIGN_OR_RETURN(const TrustedPath file, OpenTrusted(path));
  if (!S_ISREG(file.info.st_mode)) {
    return Refuse(path, "is not a regular file");
  }
  const std::optional<Note> note = ReadNote(file);
  if (note) {
    VMSILO_RETURN_IF_ERROR(SetOwner(file, path, note->former));
  } else if (file.info.st_uid == from.uid) {
    // The user's number may be another silo's tomorrow.
    VMSILO_RETURN_IF_ERROR(SetOwner(file, path, {0, 0}));
  }
  if (removexattr(ProcPath(file).c_str(), kAttribute) != 0 &&
      errno != ENODATA && errno != ENOTSUP) {
    return ErrnoStatus(absl::StrCat("remove the note from ", Quoted(path)));
  }
  return absl::OkStatus();
}

absl::Status CheckFixed(const std::string& path) {
  VMSILO_ASSIGN_OR_RETURN(const TrustedPath file, OpenTrusted(path));
  if (file.is_fixed) return absl::OkStatus();
  return Refuse(path,
                "is in a directory that others than root can write to: "
                "they could make the path lead anywhere");
}

}  // namespace vmsilo::prepare
