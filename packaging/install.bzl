"""What is installed where."""

def _install_manifest_impl(ctx):
    lines = []
    for target, destination in ctx.attr.files.items():
        files = target.files.to_list()
        if destination.endswith("/"):
            # A directory: every file of the target under its own name.
            lines += ["0644 %s%s %s" % (destination, f.basename, f.short_path) for f in files]
        elif len(files) == 1:
            lines.append("0755 %s %s" % (destination, files[0].short_path))
        else:
            fail("%s has %d files; one can be %s" %
                 (target.label, len(files), destination))
    manifest = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(manifest, "\n".join(lines) + "\n")
    runfiles = ctx.runfiles(
        files = [manifest] + [f for t in ctx.attr.files for f in t.files.to_list()],
    )
    return [DefaultInfo(files = depset([manifest]), runfiles = runfiles)]

_install_manifest = rule(
    implementation = _install_manifest_impl,
    attrs = {
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "Target -> path below the root. A path that ends in a slash " +
                  "takes all files of its target, others one program.",
            mandatory = True,
        ),
    },
    doc = "Lines of mode, destination and source for install.sh.",
)

def install_manifest(name, files, documented):
    """Lists what is installed: programs, manual pages and completions.

    Args:
      name: of the list.
      files: target -> path, as the rule takes it.
      documented: package -> (name of its program, section of the manual), for
        the files that vmsilo_program_docs makes.
    """
    all_files = dict(files)
    for package, (program, section) in documented.items():
        directories = {
            "%s.%d" % (program, section): "usr/share/man/man%d/" % section,
            "%s.bash" % program: "usr/share/bash-completion/completions/",
            "_%s" % program: "usr/share/zsh/vendor-completions/",
            "%s.fish" % program: "usr/share/fish/vendor_completions.d/",
        }
        for file, directory in directories.items():
            all_files["//%s:%s" % (package, file)] = directory
    _install_manifest(name = name, files = all_files)
