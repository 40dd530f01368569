"""C++ rules of this project: one place for warnings and hardening."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wnon-virtual-dtor",
    # Designated initialisers are for leaving members at their defaults.
    "-Wno-missing-field-initializers",
] + select({
    "//bazel:werror": ["-Werror"],
    "//conditions:default": [],
})

def vmsilo_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = _COPTS + copts, **kwargs)

def vmsilo_cc_binary(name, copts = [], **kwargs):
    cc_binary(name = name, copts = _COPTS + copts, **kwargs)

def vmsilo_cc_test(name, size = "small", copts = [], deps = [], **kwargs):
    """A GoogleTest test; main() comes with it."""
    cc_test(
        name = name,
        size = size,
        copts = _COPTS + copts,
        deps = deps + ["@googletest//:main"],
        **kwargs
    )

def vmsilo_cc_fuzz_test(name, srcs, corpus, deps = [], copts = [], args = [], **kwargs):
    """A libFuzzer target that is an ordinary test, too.

    Without --config=fuzz it runs the checked-in corpus, and a bounded number
    of mutations of it from a fixed seed. With --config=fuzz it is a libFuzzer
    binary: `bazel run --config=fuzz TARGET -- DIRECTORY -max_total_time=60`.

    Args:
      name: of the target, by convention ending in _fuzz.
      srcs: defines LLVMFuzzerTestOneInput.
      corpus: labels of the files to start from; never empty.
      deps: what `srcs` includes.
      copts: compiler options, besides the project's.
      args: arguments, besides the corpus.
      **kwargs: passed on to cc_test.
    """
    if type(corpus) == "list" and not corpus:
        fail("%s: a fuzz target needs a corpus" % name)
    cc_test(
        name = name,
        size = kwargs.pop("size", "small"),
        srcs = srcs,
        # libFuzzer would only replay what it is given by name.
        args = args + select({
            "//bazel:fuzz": [],
            "//conditions:default": ["$(locations %s)" % c for c in corpus],
        }),
        copts = _COPTS + copts,
        data = corpus,
        linkopts = select({
            "//bazel:fuzz": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//bazel:fuzz": [],
            "//conditions:default": ["//common/testing:fuzz_main"],
        }),
        **kwargs
    )
