"""The kernels and the busybox of virtual machines in tests.

./setup puts the kernels where this rule finds them. Of each, the repository
has the image and the modules that are asked for, with all that those need:

  @kernels//:NAME_vmlinuz    the image
  @kernels//:NAME_modules    modules as 000-virtio.ko, 001-… in the order to
                             load them in
  @kernels//:busybox         a static busybox
"""

_DEFAULT_CACHE = "/var/cache/vmsilo/kernels"

_TARGETS = """
filegroup(
    name = "{name}_vmlinuz",
    srcs = ["{name}/vmlinuz"],
)

filegroup(
    name = "{name}_modules",
    srcs = {modules},
)
"""

# The path below lib/modules/RELEASE of each module that is a file, and what
# depmod found that it needs, in the reverse order of loading.
def _read_dependencies(ctx, directory):
    paths, needs = {}, {}
    for line in ctx.read(directory.get_child("modules.dep")).split("\n"):
        path, colon, rest = line.partition(":")
        if not colon:
            continue
        module = path.split("/")[-1][:-len(".ko")].replace("-", "_")
        paths[module] = path
        needs[path] = rest.strip().split(" ") if rest.strip() else []
    return paths, needs

def _builtin_modules(ctx, directory):
    return {
        line.split("/")[-1][:-len(".ko")].replace("-", "_"): None
        for line in ctx.read(directory.get_child("modules.builtin")).split("\n")
        if line
    }

def _load_order(ctx, directory, modules):
    paths, needs = _read_dependencies(ctx, directory)
    builtin = _builtin_modules(ctx, directory)
    order = {}
    for name in modules:
        module = name.replace("-", "_")
        if module in paths:
            for path in needs[paths[module]][::-1] + [paths[module]]:
                order[path] = None
        elif module not in builtin:
            fail("%s has no module %s" % (directory, module))
    return order.keys()

def _kernels_impl(ctx):
    cache = ctx.os.environ.get("VMSILO_KERNELS", _DEFAULT_CACHE)
    build = "package(default_visibility = [\"//visibility:public\"])\n"
    for name, modules in ctx.attr.modules.items():
        kernel = ctx.path(cache).get_child(name)
        if not kernel.get_child("release").exists:
            fail("There is no kernel in %s. Run ./setup as root." % kernel)
        release = ctx.read(kernel.get_child("release")).strip()
        directory = kernel.get_child("lib").get_child("modules").get_child(release)
        files = []
        for path in _load_order(ctx, directory, modules):
            number = str(len(files))
            file = "%s/%s-%s" % (
                name,
                "0" * (3 - len(number)) + number,
                path.split("/")[-1],
            )
            ctx.symlink(str(directory) + "/" + path, file)
            files.append(file)
        ctx.symlink(kernel.get_child("vmlinuz"), name + "/vmlinuz")
        build += _TARGETS.format(name = name, modules = repr(files))

    busybox = ctx.which("busybox")
    if not busybox:
        fail("busybox is not installed: apt-get install busybox-static")
    ctx.symlink(busybox, "busybox")
    build += "\nexports_files([\"busybox\"])\n"
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD.bazel", build)

kernels = repository_rule(
    implementation = _kernels_impl,
    attrs = {
        "modules": attr.string_list_dict(
            doc = "Name of a kernel -> modules to have.",
            mandatory = True,
        ),
    },
    environ = ["VMSILO_KERNELS"],
    local = True,
)

def test_kernels():
    """Declares @kernels with what the guests and machines of tests load."""
    kernels(
        name = "kernels",
        modules = {
            # What a silo's guest has: its devices, and the power button.
            "guest": [
                "virtio_pci",
                "virtio_balloon",
                "virtio_blk",
                "virtio_console",
                "virtio_net",
                "vmw_vsock_virtio_transport",
                "virtiofs",
                "overlay",
                "button",
                "evdev",
            ],
            # The host of silos. It finds all others on its root, but from
            # the RAM they load faster.
            "machine": [
                "virtio_pci",
                "9pnet_virtio",
                "9p",
                "overlay",
                "virtio_console",
                "kvm-amd",
                "vhost_vsock",
                "vsock_loopback",
                "tun",
            ],
        },
    )
