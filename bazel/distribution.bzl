"""Build rules as the distribution packages them.

Bazel resolves toolchains through repositories that it would otherwise
download. Each is named here, with the package that has it, so that a build
needs no network.
"""

# Repository -> the Debian package that has it, and where it may be. The first
# directory with a WORKSPACE or MODULE.bazel file counts: Debian moved some.
_REPOSITORIES = {
    # Languages that C++ toolchain resolution drags in.
    "rules_java": ("bazel-rules-java", ["/usr/share/bazel/rules/java"]),
    "rules_proto": ("bazel-rules-proto", ["/usr/share/bazel/rules/proto"]),
    # Constraints that the C++ toolchains are described with.
    "platforms": ("bazel-platforms", [
        "/usr/share/bazel/tools/platforms",
        "/usr/share/bazel/platforms",
    ]),
    # Used by the rules above.
    "bazel_skylib": ("bazel-skylib", ["/usr/share/bazel/tools/skylib"]),
    # Our own rules stand on it.
    "rules_cc": ("bazel-rules-cc", ["/usr/share/bazel/rules/cc"]),
}

# Bazel 7 resolves these as well; older distributions have no package.
_OPTIONAL_REPOSITORIES = {
    "rules_python": ("bazel-rules-python", ["/usr/share/bazel/rules/python"]),
    "rules_license": ("bazel-rules-license", ["/usr/share/bazel/rules/license"]),
}

# rules_cc 0.0.4 imports a name that Bazel 4.2.3 does not have from these
# files; the toolchain type it stands for can be written out.
_OLD_RULES_CC = "cc/private/rules_impl"
_OLD_RULES_CC_FILES = ["cc_flags_supplier.bzl", "compiler_flag.bzl"]
_OLD_RULES_CC_USE = "use_cpp_toolchain()"
_OLD_RULES_CC_TYPE = "[\"@bazel_tools//tools/cpp:toolchain_type\"]"

def _find(ctx):
    for candidate in ctx.attr.paths:
        path = ctx.path(candidate)
        for marker in ["WORKSPACE", "MODULE.bazel", "WORKSPACE.bazel"]:
            if path.get_child(marker).exists:
                return path
    return None

def _link_children(ctx, source, below, skip):
    for child in source.readdir():
        if child.basename not in skip:
            ctx.symlink(child, below + child.basename)

def _distribution_repository_impl(ctx):
    root = _find(ctx)
    if not root:
        fail("%s is not installed: apt-get install %s" %
             (ctx.name, ctx.attr.package))
    old = root
    for part in _OLD_RULES_CC.split("/"):
        old = old.get_child(part)
    texts = {}
    if ctx.name == "rules_cc" and old.exists:
        for name in _OLD_RULES_CC_FILES:
            if not old.get_child(name).exists:
                continue
            text = ctx.read(old.get_child(name))
            if "\"use_cpp_toolchain\"" in text:
                texts[name] = text
    if not texts:
        _link_children(ctx, root, "", [])
        return

    # A repository is a tree of links; only the way down to the two files
    # is made of real directories.
    source, below = root, ""
    for part in _OLD_RULES_CC.split("/"):
        _link_children(ctx, source, below, [part])
        source, below = source.get_child(part), below + part + "/"
    _link_children(ctx, source, below, texts.keys())
    for name, text in texts.items():
        kept = []
        for line in text.split("\n"):
            if "toolchain_utils.bzl" in line:
                kept.append(line.replace(", \"use_cpp_toolchain\"", ""))
            else:
                kept.append(line.replace(_OLD_RULES_CC_USE, _OLD_RULES_CC_TYPE))
        ctx.file(below + name, "\n".join(kept))

distribution_repository = repository_rule(
    implementation = _distribution_repository_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "paths": attr.string_list(mandatory = True),
    },
    doc = "A tree of links to the first existing directory of `paths`.",
    local = True,
)

def _optional_repository_impl(ctx):
    root = _find(ctx)
    if root:
        _link_children(ctx, root, "", [])
    else:
        ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
        ctx.file("BUILD.bazel", "")

optional_repository = repository_rule(
    implementation = _optional_repository_impl,
    attrs = {
        "package": attr.string(mandatory = True),
        "paths": attr.string_list(mandatory = True),
    },
    doc = "As distribution_repository, but empty where there is no package.",
    local = True,
)

def _coverage_tools_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"remote_coverage_tools\")\n")
    ctx.file("BUILD.bazel", """\
# `bazel test` resolves this label even when no coverage is wanted, and no
# package has the tool.
filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
""")

_coverage_tools = repository_rule(
    implementation = _coverage_tools_impl,
    local = True,
)

def distribution_repositories():
    """Declares every repository that a build would otherwise download."""
    for name, (package, paths) in _REPOSITORIES.items():
        distribution_repository(name = name, package = package, paths = paths)
    for name, (package, paths) in _OPTIONAL_REPOSITORIES.items():
        optional_repository(name = name, package = package, paths = paths)
    _coverage_tools(name = "remote_coverage_tools")
