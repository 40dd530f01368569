#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

// What strings of the configuration may look like. Whatever passes can be
// quoted for systemd, for a hypervisor's option or for JavaScript without
// changing what it means.
namespace vmsilo::config {

// A kind of string.
struct TextRule {
  // For the documentation: "size".
  absl::string_view name;
  // For messages: "a size such as \"512M\"".
  absl::string_view expected;
  // The same roughly as a regular expression (ECMA 262), for editors; may be
  // empty.
  absl::string_view pattern;
  // Whether `text` is one; `out` gets its normal form.
  bool (*accept)(absl::string_view text, std::string* out);
};

// Linux's PATH_MAX, without the terminating NUL.
inline constexpr size_t kMaxPathBytes = 4095;
// IFNAMSIZ - 1 (net/if.h).
inline constexpr size_t kMaxInterfaceNameBytes = 15;
// Silos', shares' and interfaces' names. What limits them really are socket
// paths, which are checked as a whole.
inline constexpr size_t kMaxNameBytes = 64;
// What virtio-blk can carry (VIRTIO_BLK_ID_BYTES).
inline constexpr size_t kMaxDiskSerialBytes = 20;
// A USB string descriptor has at most 126 UTF-16 units, each of which UTF-8
// says in at most 3 bytes.
inline constexpr size_t kMaxUsbSerialBytes = 378;
// What exec takes as one argument (MAX_ARG_STRLEN, 32 pages).
inline constexpr size_t kMaxArgumentBytes = 131071;

bool AcceptArgument(absl::string_view text, std::string* out);
bool AcceptLine(absl::string_view text, std::string* out);
bool AcceptPath(absl::string_view text, std::string* out);
bool AcceptImageFile(absl::string_view text, std::string* out);
bool AcceptName(absl::string_view text, std::string* out);
bool AcceptUserName(absl::string_view text, std::string* out);
bool AcceptInterfaceName(absl::string_view text, std::string* out);
bool AcceptFileName(absl::string_view text, std::string* out);
bool AcceptColor(absl::string_view text, std::string* out);
bool AcceptUsbId(absl::string_view text, std::string* out);
bool AcceptUsbSerial(absl::string_view text, std::string* out);
bool AcceptDiskSerial(absl::string_view text, std::string* out);
bool AcceptPciAddress(absl::string_view text, std::string* out);
bool AcceptMacAddress(absl::string_view text, std::string* out);
bool AcceptHostAddress(absl::string_view text, std::string* out);
bool AcceptIdMap(absl::string_view text, std::string* out);
bool AcceptIdTranslation(absl::string_view text, std::string* out);

inline constexpr TextRule kArgument = {
    "string", "a string of at most 131071 bytes without a NUL", "",
    AcceptArgument};
inline constexpr TextRule kLine = {
    "string", "a string without line breaks and other control characters",
    "^[^\\u0000-\\u001f\\u007f]*$", AcceptLine};
inline constexpr TextRule kPath = {
    "path", "an absolute path without control characters",
    "^/[^\\u0000-\\u001f\\u007f]*$", AcceptPath};
inline constexpr TextRule kImageFile = {
    "file of an image",
    "an absolute path, or the name of a file in the image's directory "
    "without \"..\" and control characters",
    "^[^\\u0000-\\u001f\\u007f]+$", AcceptImageFile};
inline constexpr TextRule kName = {
    "name",
    "a name of at most 64 letters, digits, '_', '.' and '-' that begins with "
    "a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", AcceptName};
inline constexpr TextRule kUserName = {
    "user name",
    "a user's name of at most 31 letters, digits, '_', '.' and '-' that "
    "begins with a letter or '_'",
    "^[A-Za-z_][A-Za-z0-9_.-]{0,30}$", AcceptUserName};
inline constexpr TextRule kInterfaceName = {
    "interface name",
    "a network interface's name of at most 15 bytes: letters, digits, '_', "
    "'.' and '-'",
    "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$", AcceptInterfaceName};
inline constexpr TextRule kFileName = {
    "file name", "a file name without '/' and control characters",
    "^[^/\\u0000-\\u001f\\u007f]+$", AcceptFileName};
inline constexpr TextRule kColor = {
    "colour", "a CSS colour name such as \"steelblue\", or \"#rrggbb\"",
    "^(#[0-9A-Fa-f]{6}|[A-Za-z]+)$", AcceptColor};
inline constexpr TextRule kUsbId = {"USB id",
                                    "four hexadecimal digits such as \"046d\"",
                                    "^[0-9A-Fa-f]{4}$", AcceptUsbId};
inline constexpr TextRule kUsbSerial = {
    "string", "a serial number of 1 to 378 bytes without control characters",
    "^[^\\u0000-\\u001f\\u007f]+$", AcceptUsbSerial};
inline constexpr TextRule kDiskSerial = {
    "string", "a serial number of 1 to 20 letters, digits, '_', '.' and '-'",
    "^[A-Za-z0-9_.-]{1,20}$", AcceptDiskSerial};
inline constexpr TextRule kPciAddress = {
    "PCI address", "a PCI address such as \"03:00.0\" or \"0000:03:00.0\"",
    "^([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\\.[0-7]$",
    AcceptPciAddress};
inline constexpr TextRule kMacAddress = {
    "MAC address",
    "a MAC address of one device (not a group's) such as "
    "\"52:54:00:12:34:56\"",
    "^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$", AcceptMacAddress};
inline constexpr TextRule kHostAddress = {
    "address", "an address with prefix length such as \"10.0.0.1/24\"",
    "^[0-9A-Fa-f.:]+/[0-9]{1,3}$", AcceptHostAddress};
inline constexpr TextRule kIdMap = {"id map",
                                    "an id map such as \":0:100000:65536:\"",
                                    "^:[0-9]+:[0-9]+:[0-9]+:$", AcceptIdMap};
inline constexpr TextRule kIdTranslation = {
    "id translation",
    "an id translation such as \"map:1000:1001:1\", \"squash-guest:0:1000:1\" "
    "or \"forbid-guest:0:1\"",
    "^(map|guest|host|squash-guest|squash-host|forbid-guest)(:[0-9]+){2,3}$",
    AcceptIdTranslation};

}  // namespace vmsilo::config
