"""Manual page and shell completions of a program, printed by itself."""

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
        native.genrule(
            name = "%s_%s" % (name, file.replace(".", "_")),
            outs = [file],
            cmd = "$(location %s) %s > $@" % (binary, option),
            tools = [binary],
            visibility = ["//packaging:__subpackages__"],
        )
    native.filegroup(
        name = name,
        srcs = files.keys(),
        visibility = ["//packaging:__subpackages__", "//tests:__subpackages__"],
    )
