"""A repository of cc_library targets made from what pkg-config knows."""

_BUILD_HEAD = """\
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])
"""

_TARGET = """
cc_library(
    name = {name},
    copts = {copts},
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},{hdrs}
)
"""

def _run(ctx, arguments):
    tool = ctx.which("pkg-config")
    if not tool:
        fail("pkg-config is not installed: apt-get install pkg-config")
    result = ctx.execute([tool] + arguments)
    if result.return_code != 0:
        fail("%s: %s\nInstall its development files: apt-get install %s" %
             (ctx.name, result.stderr.strip(), ctx.attr.package))
    return [word for word in result.stdout.strip().split(" ") if word]

def _unique(items):
    seen = {}
    for item in items:
        seen[item] = None
    return seen.keys()

def _pkg_config_repository_impl(ctx):
    build = _BUILD_HEAD
    for name, module in ctx.attr.modules.items():
        cflags = _run(ctx, ["--cflags", module])
        static = ["--static"] if ctx.attr.archives else []
        libs = _run(ctx, ["--libs"] + static + [module])

        # Directories outside the default search path become links in this
        # repository: Bazel knows no include path outside of its own tree.
        includes, headers = [], []
        for flag in cflags:
            if not flag.startswith("-I") or flag == "-I/usr/include":
                continue
            link = "include/%s/%d" % (name, len(includes))
            ctx.symlink(flag[2:], link)
            includes.append(link)
            headers.append(link + "/**")

        linkopts = []
        for flag in [] if ctx.attr.headers_only else libs:
            if flag.startswith("-l") and flag[2:].startswith(
                ctx.attr.archives or "\n",
            ):
                linkopts.append("-l:lib%s.a" % flag[2:])
            else:
                linkopts.append(flag)
        build += _TARGET.format(
            name = repr(name),
            copts = repr([]),
            defines = repr(_unique([f[2:] for f in cflags if f.startswith("-D")])),
            includes = repr(includes),
            linkopts = repr(linkopts),
            hdrs = "\n    hdrs = glob(%r)," % headers if headers else "",
        )
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD.bazel", build)

pkg_config_repository = repository_rule(
    implementation = _pkg_config_repository_impl,
    attrs = {
        "archives": attr.string(
            doc = "Libraries whose names begin so are linked as archives.",
        ),
        "headers_only": attr.bool(
            doc = "The library is used by its headers alone.",
        ),
        "modules": attr.string_dict(
            doc = "Target name -> pkg-config module.",
            mandatory = True,
        ),
        "package": attr.string(
            doc = "The Debian package to name when a module is missing.",
            mandatory = True,
        ),
    },
    environ = ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"],
    local = True,
)
