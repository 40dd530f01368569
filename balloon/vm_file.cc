#include "balloon/vm_file.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "balloon/fields.h"
#include "common/bytes.h"
#include "common/json.h"
#include "common/status_macros.h"
#include "common/value.h"

namespace vmsilo::balloon {
namespace {

// "cloud-hypervisor" has 16.
constexpr size_t kMaxHypervisorBytes = 32;

}  // namespace

std::string PrintVmFile(const VmFile& file) {
  std::string text;
  {
    TableWriter table(&text);
    table.Text("hypervisor", file.hypervisor);
    table.Text("unit", file.unit);
    table.Count("memory", static_cast<int64_t>(file.memory.count()));
    if (file.guaranteed) {
      table.Count("memoryGuaranteed",
                  static_cast<int64_t>(file.guaranteed->count()));
    }
    if (!file.excluded.empty()) table.Text("excluded", file.excluded);
  }
  return text;
}

absl::StatusOr<VmFile> ParseVmFile(absl::string_view text) {
  if (text.size() > kMaxVmFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("longer than ", kMaxVmFileBytes, " bytes"));
  }
  VMSILO_ASSIGN_OR_RETURN(const Value value, ParseJson(text));
  Fields fields(value, "file");
  VmFile file;
  file.hypervisor = fields.RequiredText("hypervisor", kMaxHypervisorBytes);
  file.unit = fields.RequiredText("unit", kMaxUnitBytes);
  file.memory = Bytes(static_cast<uint64_t>(fields.RequiredCount("memory")));
  if (const auto guaranteed = fields.Count("memoryGuaranteed")) {
    file.guaranteed = Bytes(static_cast<uint64_t>(*guaranteed));
  }
  file.excluded = fields.Text("excluded", kMaxExcludedBytes).value_or("");
  VMSILO_RETURN_IF_ERROR(fields.status());
  return file;
}

}  // namespace vmsilo::balloon
