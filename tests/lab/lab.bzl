"""Tests that need a real systemd, or a whole machine."""

def lab_test(name, place, program, size = "medium", data = [], lab_args = [], args = [], tags = [], **kwargs):
    """Runs a program as root in a lab (lab.cc); it passes if that exits with 0.

    The program finds its runfiles as in any test. Whatever it writes is gone
    afterwards.

    Args:
      name: of the test.
      place: "container" or "machine".
      program: label of the program.
      size: of the test; a machine needs half a minute to boot.
      data: what the program reads.
      lab_args: options of the lab.
      args: of the program.
      tags: besides those of all such tests.
      **kwargs: passed on to sh_test.
    """
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//tests/lab:run"],
        args = ["$(rootpath //tests/lab:lab)", place] + lab_args +
               ["--", "$(rootpath %s)" % program] + args,
        data = data + [program, "//tests/lab:lab"],
        # Mounts, devices and namespaces that a sandbox hides; and a machine is
        # slow enough alone.
        tags = tags + ["exclusive", "local", "requires-root"],
        **kwargs
    )
