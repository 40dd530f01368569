"""@kernels for MODULE.bazel."""

load("//tests/lab:kernels.bzl", "test_kernels")

def _kernels_impl(_):
    test_kernels()

kernels = module_extension(implementation = _kernels_impl)
