"""The libraries that vmsilo takes from the distribution.

One repository per Debian package, so that a program can be built without
the libraries of the others.
"""

load("//bazel:pkg_config.bzl", "pkg_config_repository")

def system_libraries():
    """Declares one repository per library package."""

    # Archives, so that a program costs neither a dozen shared objects at
    # start-up nor a dependency on one exact Abseil release.
    pkg_config_repository(
        name = "abseil",
        archives = "absl_",
        modules = {
            "cleanup": "absl_cleanup",
            "flat_hash_map": "absl_flat_hash_map",
            "flat_hash_set": "absl_flat_hash_set",
            "function_ref": "absl_function_ref",
            "inlined_vector": "absl_inlined_vector",
            "int128": "absl_int128",
            "span": "absl_span",
            "status": "absl_status",
            "statusor": "absl_statusor",
            "str_format": "absl_str_format",
            "strings": "absl_strings",
            "time": "absl_time",
        },
        package = "libabsl-dev",
    )
    pkg_config_repository(
        name = "benchmark",
        modules = {"benchmark": "benchmark"},
        package = "libbenchmark-dev",
    )
    pkg_config_repository(
        name = "googletest",
        modules = {
            "gmock": "gmock",
            "gtest": "gtest",
            "main": "gmock_main",
        },
        package = "libgtest-dev libgmock-dev",
    )
    # An archive for the same reason; all we want of it is SHA-256.
    pkg_config_repository(
        name = "libmd",
        archives = "md",
        modules = {"libmd": "libmd"},
        package = "libmd-dev",
    )
    pkg_config_repository(
        name = "libseccomp",
        modules = {"libseccomp": "libseccomp"},
        package = "libseccomp-dev",
    )
    pkg_config_repository(
        name = "libsystemd",
        modules = {"libsystemd": "libsystemd"},
        package = "libsystemd-dev",
    )
    pkg_config_repository(
        name = "nlohmann_json",
        modules = {"json": "nlohmann_json"},
        package = "nlohmann-json3-dev",
    )

    # Compiled into its one wrapper: the shared object would bring libstdc++
    # with it, and cost each program that reads the configuration a
    # millisecond at its start.
    pkg_config_repository(
        name = "tomlplusplus",
        headers_only = True,
        modules = {"tomlplusplus": "tomlplusplus"},
        package = "libtomlplusplus-dev",
    )
