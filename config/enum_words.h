#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"
#include "config/config.h"

namespace vmsilo::config {

template <typename E>
struct EnumWord {
  E value;
  absl::string_view word;
};

// The words of the configuration file for E, in the order of the
// documentation. Specialised for each enumeration of config.h.
template <typename E>
struct EnumWords;

template <>
struct EnumWords<Hypervisor> {
  static constexpr EnumWord<Hypervisor> kAll[] = {
      {Hypervisor::kCrosvm, "crosvm"},
      {Hypervisor::kCloudHypervisor, "cloud-hypervisor"},
      {Hypervisor::kQemu, "qemu"},
  };
};
template <>
struct EnumWords<CidAssignment> {
  static constexpr EnumWord<CidAssignment> kAll[] = {
      {CidAssignment::kHash, "hash"},
      {CidAssignment::kSequential, "sequential"},
  };
};
template <>
struct EnumWords<ConsoleMode> {
  static constexpr EnumWord<ConsoleMode> kAll[] = {
      {ConsoleMode::kRelay, "relay"},
      {ConsoleMode::kFile, "file"},
      {ConsoleMode::kOff, "off"},
  };
};
template <>
struct EnumWords<OverlayType> {
  static constexpr EnumWord<OverlayType> kAll[] = {
      {OverlayType::kRaw, "raw"},
      {OverlayType::kTmpfs, "tmpfs"},
      {OverlayType::kQcow2, "qcow2"},
  };
};
template <>
struct EnumWords<DiskFormat> {
  static constexpr EnumWord<DiskFormat> kAll[] = {
      {DiskFormat::kRaw, "raw"},
      {DiskFormat::kQcow2, "qcow2"},
  };
};
template <>
struct EnumWords<SeccompPolicy> {
  static constexpr EnumWord<SeccompPolicy> kAll[] = {
      {SeccompPolicy::kEnforcing, "enforcing"},
      {SeccompPolicy::kLog, "log"},
      {SeccompPolicy::kOff, "off"},
  };
};
template <>
struct EnumWords<InodeFileHandles> {
  static constexpr EnumWord<InodeFileHandles> kAll[] = {
      {InodeFileHandles::kNever, "never"},
      {InodeFileHandles::kPrefer, "prefer"},
      {InodeFileHandles::kMandatory, "mandatory"},
  };
};
template <>
struct EnumWords<CachePolicy> {
  static constexpr EnumWord<CachePolicy> kAll[] = {
      {CachePolicy::kAuto, "auto"},
      {CachePolicy::kAlways, "always"},
      {CachePolicy::kNever, "never"},
      {CachePolicy::kMetadata, "metadata"},
  };
};
template <>
struct EnumWords<Accelerator> {
  static constexpr EnumWord<Accelerator> kAll[] = {
      {Accelerator::kKvm, "kvm"},
      {Accelerator::kAuto, "auto"},
      {Accelerator::kTcg, "tcg"},
  };
};
template <>
struct EnumWords<CloudHypervisorSeccomp> {
  static constexpr EnumWord<CloudHypervisorSeccomp> kAll[] = {
      {CloudHypervisorSeccomp::kOn, "on"},
      {CloudHypervisorSeccomp::kOff, "off"},
      {CloudHypervisorSeccomp::kLog, "log"},
      {CloudHypervisorSeccomp::kErrno, "errno"},
  };
};

template <typename E>
constexpr absl::string_view WordOf(E value) {
  for (const EnumWord<E>& entry : EnumWords<E>::kAll) {
    if (entry.value == value) return entry.word;
  }
  return "";
}

}  // namespace vmsilo::config
