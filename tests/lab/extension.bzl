"""@kernels and @debs for MODULE.bazel."""

load("//tests/lab:debs.bzl", "test_debs")
load("//tests/lab:kernels.bzl", "test_kernels")

def _from_setup_impl(_):
    test_debs()
    test_kernels()

from_setup = module_extension(implementation = _from_setup_impl)
