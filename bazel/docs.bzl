"""Manual page and shell completions of a program, printed by itself."""

def _printed_impl(ctx):
    ctx.actions.run_shell(
        command = "\"$1\" \"$2\" > \"$3\"",
        arguments = [
            ctx.executable.binary.path,
            ctx.attr.option,
            ctx.outputs.out.path,
        ],
        tools = [ctx.executable.binary],
        outputs = [ctx.outputs.out],
        mnemonic = "Print",
        progress_message = "Printing %s" % ctx.outputs.out.short_path,
    )
    return [DefaultInfo(files = depset([ctx.outputs.out]))]

_printed = rule(
    implementation = _printed_impl,
    attrs = {
        # The program as it ships, not a second build of it for the host:
        # whoever builds for another architecture prints on that one.
        "binary": attr.label(executable = True, cfg = "target", mandatory = True),
        "option": attr.string(mandatory = True),
        "out": attr.output(mandatory = True),
    },
    doc = "What a program prints when it is called with one option.",
)

def vmsilo_program_docs(name, binary, section):
    """Makes the target NAME with the program's manual page and completions.

    Args:
      name: of the file group; by convention "docs".
      binary: label of the program, named as it is installed.
      section: of the manual.
    """
    program = binary.split(":")[-1]
    files = {
        "%s.%d" % (program, section): "--print-manual",
        "%s.bash" % program: "--print-completion=bash",
        "_%s" % program: "--print-completion=zsh",
        "%s.fish" % program: "--print-completion=fish",
    }
    for file, option in files.items():
        _printed(
            name = "%s_%s" % (name, file.replace(".", "_")),
            binary = binary,
            option = option,
            out = file,
            visibility = ["//packaging:__subpackages__"],
        )
    native.filegroup(
        name = name,
        srcs = files.keys(),
        visibility = ["//packaging:__subpackages__", "//tests:__subpackages__"],
    )
