"""clang-tidy over every C++ source of the product, one cached action a file.

Part of --config=ci; on its own:
    bazel build //... --config=tidy
"""

# What follows //bazel:cc.bzl, in Clang's words.
_FLAGS = ["-std=c++20", "-xc++", "-Wno-unknown-warning-option"]

def _sources(rule):
    files = []
    for attribute in ["srcs", "hdrs"]:
        for target in getattr(rule.attr, attribute, []):
            files += [
                f
                for f in target.files.to_list()
                # Headers are seen through the sources; generated files are
                # nobody's to mend.
                if f.is_source and f.extension == "cc"
            ]
    return files

def _clang_tidy_impl(target, ctx):
    rule = ctx.rule
    if not rule.kind in ["cc_library", "cc_binary"] or rule.attr.testonly:
        return []
    if target.label.workspace_name or not CcInfo in target:
        return []

    context = target[CcInfo].compilation_context
    flags = list(_FLAGS)
    flags += ["-D" + d for d in context.defines.to_list()]
    for directory in context.includes.to_list() + context.system_includes.to_list():
        flags += ["-isystem", directory]
    flags += ["-iquote", "."]

    reports = []
    for source in _sources(rule):
        report = ctx.actions.declare_file(
            "%s.%s.clang_tidy" % (target.label.name, source.basename),
        )
        ctx.actions.run(
            executable = ctx.executable._runner,
            arguments = [report.path, ctx.file._config.path, source.path] + flags,
            inputs = depset(
                [source, ctx.file._config],
                transitive = [context.headers],
            ),
            outputs = [report],
            mnemonic = "ClangTidy",
            progress_message = "Linting %s" % source.short_path,
        )
        reports.append(report)
    return [OutputGroupInfo(clang_tidy = depset(reports))]

clang_tidy_aspect = aspect(
    implementation = _clang_tidy_impl,
    attrs = {
        "_config": attr.label(
            default = Label("//:.clang-tidy"),
            allow_single_file = True,
        ),
        "_runner": attr.label(
            default = Label("//bazel:clang_tidy"),
            executable = True,
            cfg = "host",
        ),
    },
    doc = "Makes the output group clang_tidy with a report per source.",
)
