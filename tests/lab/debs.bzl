"""Debian packages that tests unpack where nobody else sees them.

./setup puts them where this rule finds them:

  @debs//:NAME.deb
"""

_DEFAULT_CACHE = "/var/cache/vmsilo/debs"

def _debs_impl(ctx):
    cache = ctx.os.environ.get("VMSILO_DEBS", _DEFAULT_CACHE)
    names = [package + ".deb" for package in ctx.attr.packages]
    for name in names:
        deb = ctx.path(cache).get_child(name)
        if not deb.exists:
            fail("There is no %s. Run ./setup as root." % deb)
        ctx.symlink(deb, name)
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD.bazel", "exports_files(%s)\n" % repr(names))

debs = repository_rule(
    implementation = _debs_impl,
    attrs = {
        "packages": attr.string_list(mandatory = True),
    },
    environ = ["VMSILO_DEBS"],
    local = True,
)

def test_debs():
    """Declares @debs with the packages of the tests."""
    debs(
        name = "debs",
        packages = ["openssh-server"],
    )
