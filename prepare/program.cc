#include "prepare/program.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "common/options.h"
#include "common/sd_event_loop.h"
#include "common/status.h"
#include "common/status_macros.h"
#include "config/config.h"
#include "prepare/give.h"
#include "prepare/home.h"
#include "prepare/overlay.h"
#include "prepare/owner.h"
#include "prepare/power_off.h"
#include "prepare/raw_disk.h"
#include "prepare/sandbox.h"
#include "prepare/wait.h"

namespace vmsilo::prepare {
namespace {

constexpr int kMaxPid = 4 * 1024 * 1024;  // PID_MAX_LIMIT

// More than a virtual machine has disks and back ends.
constexpr size_t kMaxPaths = 256;

absl::Status Missing(absl::string_view option) {
  return WithExitCode(absl::InvalidArgumentError(
                          absl::StrCat("option --", option, " is missing")),
                      kExitUsage);
}

std::optional<pid_t> PidOf(const Flags& flags) {
  return flags.pid == 0 ? std::nullopt : std::optional<pid_t>(flags.pid);
}

absl::Status RunOverlay(const Flags& flags) {
  if (flags.path.empty()) return Missing("path");
  if (flags.size.count() == 0) return Missing("size");
  std::optional<Owner> owner;
  if (!flags.owner.empty()) {
    VMSILO_ASSIGN_OR_RETURN(owner, ParseOwner(flags.owner));
  }
  return MakeOverlay(flags.path, flags.size, owner);
}

absl::Status RunHome(const Flags& flags) {
  if (flags.path.empty()) return Missing("path");
  if (flags.template_path.empty()) return Missing("template");
  if (flags.owner.empty()) return Missing("owner");
  VMSILO_ASSIGN_OR_RETURN(const Owner owner, ParseOwner(flags.owner));
  return MakeHome(flags.template_path, flags.path, owner);
}

absl::Status RunRawDisk(const Flags& flags) {
  if (flags.path.empty()) return Missing("path");
  return CheckRawDisk(flags.path);
}

absl::Status RunGive(const Flags& flags, const Operands& paths) {
  if (flags.to.empty()) return Missing("to");
  VMSILO_ASSIGN_OR_RETURN(const Owner to, ParseOwner(flags.to));
  for (const std::string& path : paths) {
    VMSILO_RETURN_IF_ERROR(Give(path, to));
  }
  return absl::OkStatus();
}

absl::Status RunTakeBack(const Flags& flags, const Operands& paths) {
  if (flags.from.empty()) return Missing("from");
  VMSILO_ASSIGN_OR_RETURN(const Owner from, ParseOwner(flags.from));
  absl::Status first = absl::OkStatus();
  for (const std::string& path : paths) {
    const absl::Status status = TakeBack(path, from);
    if (status.ok()) continue;
    if (!first.ok()) LOG(ERROR) << first.message();
    first = status;
  }
  return first;
}

absl::Status RunCheckPath(const Operands& paths) {
  for (const std::string& path : paths) {
    VMSILO_RETURN_IF_ERROR(CheckFixed(path));
  }
  return absl::OkStatus();
}

absl::Status RunWait(const Flags& flags) {
  if (flags.socket.empty()) return Missing("socket");
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  VMSILO_RETURN_IF_ERROR(ConfineToControlSockets());
  return WaitForSocket(
      loop.get(),
      {.path = flags.socket,
       .type = flags.type == "seqpacket" ? SOCK_SEQPACKET : SOCK_STREAM,
       .timeout = flags.wait_timeout,
       .pid = PidOf(flags),
       .connects = !flags.without_connecting});
}

absl::Status RunPowerOff(const Flags& flags) {
  if (flags.hypervisor.empty()) return Missing("hypervisor");
  if (flags.control.empty()) return Missing("control");
  PowerOffOptions options{.control = flags.control,
                          .pid = PidOf(flags),
                          .timeout = flags.power_off_timeout};
  for (const config::Hypervisor hypervisor :
       {config::Hypervisor::kCrosvm, config::Hypervisor::kCloudHypervisor,
        config::Hypervisor::kQemu}) {
    if (flags.hypervisor == std::string(config::ToString(hypervisor))) {
      options.hypervisor = hypervisor;
    }
  }
  VMSILO_ASSIGN_OR_RETURN(const std::unique_ptr<SdEventLoop> loop,
                          SdEventLoop::Create());
  VMSILO_RETURN_IF_ERROR(ConfineToControlSockets());
  return PowerOff(loop.get(), options);
}

}  // namespace

Program MakeProgram(Flags* flags) {
  const Option path = StringOption("path", "FILE", "What to make, absolute",
                                   &flags->path, Completion::kFile);
  const Option owner = StringOption(
      "owner", "USER", "Whom it belongs to: UID:GID, or a user's name",
      &flags->owner);
  const Option pid = NumberOption<int>("pid", "PID", "The hypervisor's process",
                                       &flags->pid, 1, kMaxPid);

  Program program;
  program.name = "vmsilo-prepare";
  program.man_section = 8;
  program.summary = "small steps around a silo's virtual machine";
  program.description =
      "vmsilo-prepare does what a silo's units need before, around and after "
      "the hypervisor. The units that vmsilo-unitgen makes call it; there is "
      "seldom a reason to call it by hand.";
  program.commands = {
      Command{
          .name = "overlay",
          .summary = "make a fresh root overlay",
          .description =
              "Makes an empty, sparse disk image that only its owner can read. "
              "An older one of that name is removed first: no run of a silo "
              "sees the disk of the last one.",
          .options = {path,
                      SizeOption("size", "How large the disk is", &flags->size),
                      owner},
          .examples = {{"vmsilo-prepare overlay --path "
                        "/var/lib/vmsilo/overlays/work.raw --size 10G",
                        "A disk of 10 GiB"}},
          .run = [flags](const Operands&) { return RunOverlay(*flags); },
      },
      Command{
          .name = "home",
          .summary = "make a home directory from a template",
          .description =
              "Copies the template, unless the home exists. The copy is made "
              "beside it and renamed when it is complete, so that an "
              "interrupted one is never taken for a home. Without a template "
              "the home is empty.",
          .options = {StringOption(
                          "template", "DIR", "What to copy; need not exist",
                          &flags->template_path, Completion::kDirectory),
                      path, owner},
          .examples = {{"vmsilo-prepare home --template "
                        "/var/lib/vmsilo/home-template --path /shared/work "
                        "--owner 1000:1000",
                        "A silo's home for the desktop user"}},
          .run = [flags](const Operands&) { return RunHome(*flags); },
      },
      Command{
          .name = "raw-disk",
          .summary = "make sure that crosvm takes a disk for a raw one",
          .description =
              "crosvm guesses the format of a disk by its first bytes, which "
              "the guest can write. Exits with 65 if they are not those of a "
              "raw disk.",
          .options = {StringOption("path", "FILE", "The disk, or its image",
                                   &flags->path, Completion::kFile)},
          .examples = {{"vmsilo-prepare raw-disk --path /srv/images/data.img",
                        "Before the silo starts that it belongs to"}},
          .run = [flags](const Operands&) { return RunRawDisk(*flags); },
      },
      Command{
          .name = "give",
          .operands = "FILE…",
          .summary = "make files a hypervisor's while its silo runs",
          .description =
              "Makes each file the user's, and notes there whose it was, for "
              "`take-back`. It refuses what somebody other than root could "
              "have put in the place of a disk: symbolic links in directories "
              "that others can write to, files with a second name, and files "
              "of others than the directory's owner.",
          .options = {StringOption("to", "USER",
                                   "Whose they become: a user's name, or a "
                                   "number",
                                   &flags->to)},
          .examples = {{"vmsilo-prepare give --to vmsilo-work -- "
                        "/srv/work.img",
                        "A disk for the silo work"}},
          .min_operands = 1,
          .max_operands = kMaxPaths,
          .completion = Completion::kFile,
          .run =
              [flags](const Operands& paths) { return RunGive(*flags, paths); },
      },
      Command{
          .name = "take-back",
          .operands = "FILE…",
          .summary = "give files back to their former owners",
          .description =
              "Undoes `give`. A file whose former owner could not be noted "
              "becomes root's. Files that are not the user's stay as they are.",
          .options = {StringOption("from", "USER",
                                   "Whose they are: a user's name, or a number",
                                   &flags->from)},
          .examples = {{"vmsilo-prepare take-back --from vmsilo-work -- "
                        "/srv/work.img",
                        "The disk of a silo that has stopped"}},
          .min_operands = 1,
          .max_operands = kMaxPaths,
          .completion = Completion::kFile,
          .run =
              [flags](const Operands& paths) {
                return RunTakeBack(*flags, paths);
              },
      },
      Command{
          .name = "check-path",
          .operands = "PATH…",
          .summary = "tell whether only root decides where a path leads",
          .description =
              "Fails if somebody other than root can write to a directory on "
              "the way: a program that follows the path as root could be led "
              "anywhere.",
          .examples = {{"vmsilo-prepare check-path -- /srv/packages",
                        "Before root's virtiofsd serves it"}},
          .min_operands = 1,
          .max_operands = kMaxPaths,
          .completion = Completion::kFile,
          .run = [](const Operands& paths) { return RunCheckPath(paths); },
      },
      Command{
          .name = "wait",
          .summary = "wait until somebody listens on a socket",
          .description =
              "Returns as soon as the socket accepts connections. Exits with "
              "75 if it does not in time, with 69 if the process ends first.",
          .options = {StringOption("socket", "PATH", "The Unix socket",
                                   &flags->socket, Completion::kFile),
                      DurationOption("timeout", "How long to wait at most",
                                     &flags->wait_timeout),
                      ChoiceOption("type", "TYPE", "The socket's type",
                                   {"stream", "seqpacket"}, &flags->type),
                      SwitchOption("without-connecting",
                                   "Only look whether somebody listens: for "
                                   "servers that serve one connection and end",
                                   &flags->without_connecting),
                      pid},
          .examples = {{"vmsilo-prepare wait --socket "
                        "/run/vmsilo/work/vm/qemu-control.socket",
                        "Until QEMU's monitor is there"}},
          .run = [flags](const Operands&) { return RunWait(*flags); },
      },
      Command{
          .name = "power-off",
          .summary = "ask a guest to power off, and wait until it has",
          .description =
              "Presses the virtual machine's power button over the "
              "hypervisor's control socket, and returns when the hypervisor's "
              "process has ended. Exits with 75 if it has not in time; then "
              "it is for the caller to end it.",
          .options = {ChoiceOption("hypervisor", "NAME",
                                   "Whose control socket it is",
                                   {"qemu", "crosvm", "cloud-hypervisor"},
                                   &flags->hypervisor),
                      StringOption("control", "PATH",
                                   "The control socket itself, not a link to "
                                   "it",
                                   &flags->control, Completion::kFile),
                      pid,
                      DurationOption("timeout", "How long to wait at most",
                                     &flags->power_off_timeout)},
          .examples = {{"vmsilo-prepare power-off --hypervisor qemu --control "
                        "/run/vmsilo/work/vm/qemu-control.socket",
                        "A silo under QEMU"}},
          .run = [flags](const Operands&) { return RunPowerOff(*flags); },
      },
  };
  program.see_also = {"vmsilo(1)", "vmsilo-unitgen(8)"};
  return program;
}

}  // namespace vmsilo::prepare
