"""The libraries of WORKSPACE for MODULE.bazel.

A file of its own, because Bazel 4.2.3 does not know `module_extension`.
"""

load("//bazel:libraries.bzl", "system_libraries")

def _libraries_impl(_):
    system_libraries()

libraries = module_extension(implementation = _libraries_impl)
