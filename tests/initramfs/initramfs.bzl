"""A first root for a kernel, made of single files."""

def initramfs(name, files, **kwargs):
    """Declares NAME.cpio.

    Args:
      name: of the target.
      files: label -> destination; a label of several files needs one that
        ends in "/".
      **kwargs: passed on to genrule.
    """
    native.genrule(
        name = name,
        srcs = files.keys(),
        outs = [name + ".cpio"],
        cmd = "files=(); " + " ".join([
            "for f in $(locations %s); do files+=(\"%s=$$f\"); done;" %
            (label, destination)
            for label, destination in files.items()
        ]) + " $(location //tests/initramfs:make_initramfs) $@ \"$${files[@]}\"",
        tools = ["//tests/initramfs:make_initramfs"],
        **kwargs
    )
