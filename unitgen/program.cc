#include "unitgen/program.h"

#include <string>

#include "absl/status/status.h"
#include "common/exit_codes.h"
#include "common/options.h"
#include "unitgen/commands.h"

namespace vmsilo::unitgen {
namespace {

// A command without operands.
Command Simple(std::string name, std::string summary,
               absl::Status (*run)(const Flags&), const Flags* flags) {
  Command command;
  command.name = std::move(name);
  command.summary = std::move(summary);
  command.run = [run, flags](const Operands&) { return run(*flags); };
  return command;
}

Option RootOption(Flags* flags) {
  return StringOption("root", "DIR",
                      "Work below DIR instead of /: the configuration, the "
                      "installed files and the manifest are those of DIR",
                      &flags->root, Completion::kDirectory);
}

Command MakeCheck(Flags* flags) {
  Command command = Simple(
      "check", "Say all that is wrong with the configuration", Check, flags);
  command.description =
      "Reads the configuration, generates everything from it, and throws it "
      "away. Errors and warnings go to standard error, with file, line and "
      "column. It tells which image and files each silo boots. Then it looks "
      "at this machine: programs, images, devices and "
      "directories that are missing, and versions other than the units are "
      "written for.\n\nA hypervisor is called supported if this release was "
      "run against the released, unmodified program of that version; all "
      "others are untested.";
  command.options = {SwitchOption(
      "configuration-only",
      "Leave out what is about this machine, for a configuration of another",
      &flags->configuration_only)};
  command.examples = {
      {"vmsilo-unitgen check", "Check /etc/vmsilo/vmsilo.toml"},
      {"vmsilo-unitgen --config ./new.toml check",
       "Check a configuration before it is put in place"},
  };
  return command;
}

Command MakeGenerate(Flags* flags) {
  Command command = Simple("generate", "Write all files below a new directory",
                           GenerateInto, flags);
  command.description =
      "The layout below the directory is that of /etc: systemd/system, "
      "systemd/user, systemd/network, tmpfiles.d, sysusers.d and "
      "polkit-1/rules.d.";
  command.options = {StringOption("output", "DIR",
                                  "The directory, which must be empty or not "
                                  "exist",
                                  &flags->output, Completion::kDirectory)};
  command.examples = {{"vmsilo-unitgen generate --output /tmp/units",
                       "Look at what would be installed"}};
  return command;
}

Command MakeDiff(Flags* flags) {
  Command command = Simple(
      "diff", "Show how the installed files differ from the configuration",
      Diff, flags);
  command.description =
      "Prints a unified diff from what is installed to what the configuration "
      "says. The exit code is 0 if there is no difference, 1 if there is one, "
      "and another number if it could not be found out.";
  command.options = {RootOption(flags)};
  command.examples = {{"vmsilo-unitgen diff", "See what install would change"}};
  return command;
}

Command MakeInstall(Flags* flags) {
  Command command = Simple(
      "install", "Bring the installed files to what the configuration says",
      InstallFiles, flags);
  command.description =
      "Writes the files below /etc, removes those which the last run made and "
      "this one does not, and prints the commands that make it effective; it "
      "runs none of them. A file that vmsilo-unitgen has not made, or that was "
      "changed since, is left alone, and the run says so.\n\nIt can be "
      "interrupted at any moment and run again. While systemd calls "
      "vmsilo-unitgen as a generator, it refuses.";
  command.options = {RootOption(flags)};
  command.examples = {
      {"vmsilo-unitgen install", "Install the units of this machine"},
      {"vmsilo-unitgen install --root /mnt/image",
       "Install them into the file system of another"},
  };
  return command;
}

Command MakeUninstall(Flags* flags) {
  Command command = Simple(
      "uninstall", "Remove the files that install has made", Uninstall, flags);
  command.description =
      "Files that were changed since they were installed stay, and are named. "
      "The configuration is not read.";
  command.options = {RootOption(flags)};
  return command;
}

Command MakeList(Flags* flags) {
  Command command =
      Simple("list", "List the generated files and what each is for", ListFiles,
             flags);
  command.options = {SwitchOption(
      "paths", "Only the paths below the layout's root, with those of links",
      &flags->paths)};
  return command;
}

Command MakeGraph(Flags* flags) {
  Command command;
  command.name = "graph";
  command.operands = "[SILO]";
  command.summary = "Draw units and their dependencies";
  command.description =
      "Prints a graph in the language of Graphviz: of one silo, or of all. "
      "Lines are solid for requirements (thick for BindsTo=), dashed for "
      "wishes, dotted for order alone, and end in a diamond where a socket "
      "starts a service. A requirement that does not wait has an open arrow.";
  command.options = {
      SwitchOption("svg", "Print it as SVG, drawn by dot(1)", &flags->svg)};
  command.examples = {{"vmsilo-unitgen graph work --svg > work.svg",
                       "Draw the units of silo 'work'"}};
  command.max_operands = 1;
  command.completion = Completion::kSilo;
  command.run = [flags](const Operands& operands) {
    return Graph(*flags, operands.empty() ? std::string() : operands[0]);
  };
  return command;
}

Command MakeExplain(Flags* flags) {
  Command command;
  command.name = "explain";
  command.operands = "UNIT";
  command.summary = "Say why a unit exists, and from which options";
  command.description =
      "Names the options that lead to the unit, with the file, line and "
      "column where each is set, and the units that it is tied to. The "
      "unit's suffix can be left out; other generated files are found by "
      "their names.";
  command.examples = {{"vmsilo-unitgen explain vmsilo-work-sound",
                       "Where does this unit come from?"}};
  command.min_operands = 1;
  command.max_operands = 1;
  command.run = [flags](const Operands& operands) {
    return ExplainUnit(*flags, operands[0]);
  };
  return command;
}

Command MakeGenerator(Flags* flags) {
  Command command;
  command.name = "generator";
  command.operands = "DIR";
  command.summary = "Do what a call by systemd as its generator does";
  command.description =
      "Writes the system units to DIR, which must exist. For a configuration "
      "that cannot be used it writes vmsilo-configuration-error.service, "
      "which fails with the errors, and exits with 78.";
  command.examples = {
      {"vmsilo-unitgen --config ./new.toml generator /tmp/units",
       "See which units a boot with that configuration would have"}};
  command.min_operands = 1;
  command.max_operands = 1;
  command.completion = Completion::kDirectory;
  command.run = [flags](const Operands& operands) {
    const int exit_code = RunGenerator(*flags, operands[0]);
    if (exit_code == 0) return absl::OkStatus();
    // The log has said it.
    return WithExitCode(absl::InternalError(""), exit_code);
  };
  return command;
}

}  // namespace

Program MakeProgram(Flags* flags) {
  Program program;
  program.name = "vmsilo-unitgen";
  program.man_section = 8;
  program.summary = "make systemd units for silos from one configuration";
  program.description =
      "vmsilo-unitgen turns the configuration, vmsilo.toml(5), into systemd "
      "units, tmpfiles, polkit rules and, if wanted, network files. The same "
      "configuration always gives the same files, whatever is installed on "
      "the machine.\n\nThere are two ways to use them. `install` writes them "
      "below /etc. Or systemd makes the units itself, at every boot and "
      "reload, when vmsilo-unitgen is linked to "
      "/etc/systemd/system-generators/vmsilo-unitgen; what is no system unit "
      "(polkit rules, units of the user's manager, network files) does not "
      "exist then.";
  program.options = {StringOption(
      "config", "FILE",
      "Read FILE (.toml or .json) and FILE.d instead of the usual files",
      &flags->config, Completion::kFile)};
  program.commands = {
      MakeCheck(flags),   MakeGenerate(flags),  MakeDiff(flags),
      MakeInstall(flags), MakeUninstall(flags), MakeList(flags),
      MakeGraph(flags),   MakeExplain(flags),   MakeGenerator(flags)};
  program.examples = {
      {"vmsilo-unitgen check && vmsilo-unitgen diff",
       "After a change of the configuration: is it right, and what changes?"},
      {"vmsilo-unitgen install && systemctl daemon-reload", "Put it in place"},
  };
  program.man_sections = {
      {"GENERATOR",
       "Called with three absolute paths, as systemd calls its generators "
       "(systemd.generator(7)), vmsilo-unitgen writes the system units to the "
       "first. It needs neither D-Bus nor the user database's daemons: the "
       "desktop user comes from /etc/passwd or from host.uid and host.gid.\n\n"
       "No sysusers.d file exists then, and none is needed: the units run as "
       "root, as the desktop user, or have DynamicUser=yes, by which systemd "
       "makes vmsilo-NAME, the user of silo NAME's hypervisor, for as long as "
       "the VM runs. What must exist are the groups kvm (hypervisors, GPU), "
       "render (GPU) and disk (silos with block devices), which the "
       "distribution's udev or systemd brings. For users that keep their "
       "numbers, put the sysusers.d/vmsilo.conf that generate writes into "
       "/etc/sysusers.d and run systemd-sysusers; units take such a user "
       "instead.\n\n"
       "A configuration that cannot be used leaves "
       "vmsilo-configuration-error.service, which multi-user.target starts "
       "and which fails with the errors; they are in the kernel's log, too. "
       "At a boot it is all there is. A later reload keeps the units that "
       "systemd had when a silo's socket or VM last started (copied to "
       "/run/vmsilo/.units), so that silos that run still stop in order. "
       "Without any configuration there are no units and no error."},
      {"FILES",
       "/etc/vmsilo/vmsilo.toml, /etc/vmsilo/vmsilo.toml.d/*.toml: the "
       "configuration\n\n"
       "/usr/lib/vmsilo/vmsilo.toml, /usr/lib/vmsilo/vmsilo.toml.d/*.toml: "
       "what the distribution presets\n\n"
       "/var/lib/vmsilo/manifest.json: which files install has made, with "
       "their digests"},
      {"EXIT STATUS",
       "0: done; for diff: no difference\n\n"
       "1: diff found a difference\n\n"
       "64: the command line is wrong\n\n"
       "65: the manifest cannot be understood\n\n"
       "69: something that is needed is not there\n\n"
       "71: the system refused; the message says what\n\n"
       "75: another installation is under way, or the disk is full\n\n"
       "77: no permission\n\n"
       "78: the configuration cannot be used, or a generator is active"},
  };
  program.see_also = {"vmsilo.toml(5)", "vmsilo(1)", "systemd.generator(7)",
                      "systemd.unit(5)", "dot(1)"};
  return program;
}

}  // namespace vmsilo::unitgen
