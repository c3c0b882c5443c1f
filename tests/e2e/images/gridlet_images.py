# SPDX-License-Identifier: Apache-2.0
"""The images under gridlet/: one per thing that an image may contain or ask for, beyond what critest looks at.

Most check themselves: run with their own command, they exit 0 when everything arrived as it was packed, else they print what
differs. They are plain layers over busybox.
"""
import hashlib
import random

import tarball
from layers import TAR_PLAIN, TAR_ZSTD, Layer, multi_gzipped, multi_zstd
from push import ENV, image_of, layer_blob
from tarball import Entry, member

# struct vfs_cap_data, revision 2, effective bit set, CAP_NET_RAW permitted (linux/capability.h).
CAP_NET_RAW_EP = bytes.fromhex("0100000200200000000000000000000000000000")
BINARY_XATTR = bytes(range(1, 256))

SHOW = """\
#!/bin/sh
trap 'echo got USR1; exit 7' USR1
echo "id=$(id -u):$(id -g) pwd=$PWD args=$# 1=$1 2=$2 3=$3"
env | sort
[ "$1" = wait ] || exit 0
while :; do sleep 1 & wait $!; done
"""

# Compares `find -type f` under /tree, with contents, with /expect.
CHECK_TREE = """\
#!/bin/sh
cd / && find tree -type f | sort | while read -r path; do echo "$path=$(cat "$path")"; done >/tmp/found
diff /expect /tmp/found
"""

# Each line of /expect: how to stat it, what that must print, the path.
CHECK_STAT = """\
#!/bin/sh
cd /hard || exit 1
bad=0
while IFS='|' read -r format want path; do
    got=$(stat -c "$format" "$path" 2>&1)
    [ "$got" = "$want" ] || { echo "$path: $format: want '$want', got '$got'"; bad=1; }
done </expect
sha256sum -c /sums >/tmp/sums 2>&1 || { cat /tmp/sums; bad=1; }
if [ -e xattr ] && ! xattrs xattr | grep -q "^user.binary=$(cat /binary)\\$"; then
    echo "xattr user.binary is lost"
    bad=1
fi
[ "$(stat -c %b sparse)" -lt 4096 ] || echo "note: holes were filled"
exit $bad
"""


class Stack:
    """Layers, and a model of the files that must be visible through all of them."""

    def __init__(self):
        self.layers = []
        self.files = {}
        self.here = set()

    def begin(self):
        self.layers.append(Layer())
        self.here = set()

    def write(self, path, text):
        self.layers[-1].file(path, text + "\n")
        self.files[path] = text
        self.here.add(path)

    def remove(self, path):
        """A whiteout: hides what the layers below have, not what this layer adds."""
        self.layers[-1].whiteout(path)
        self._hide(lambda name: name == path or name.startswith(path + "/"))

    def opaque(self, folder):
        self.layers[-1].opaque(folder)
        self._hide(lambda name: name.startswith(folder + "/"))

    def _hide(self, matches):
        self.files = {name: text for name, text in self.files.items() if name in self.here or not matches(name)}

    def expect(self):
        return "".join(f"{path}={text}\n" for path, text in sorted(self.files.items()))


def checked(publisher, name, blobs, config=None, **more):
    publisher.push([f"gridlet/{name}:1"], blobs, {"Env": ENV, "Cmd": ["/check"], **(config or {})}, **more)


def push_setcap(publisher):
    """/bin/busybox-netraw has cap_net_raw+ep as a file capability; /bin/busybox has none."""
    layer = Layer()
    layer.file("bin/busybox-netraw", publisher.program("busybox"), 0o755, pax={
        "SCHILY.xattr.security.capability": CAP_NET_RAW_EP,
    })
    layer.file("bin/xattrs", publisher.program("xattrs"), 0o755)
    config = {"Env": ENV, "Cmd": ["busybox-netraw", "grep", "CapEff", "/proc/self/status"], "User": "1234"}
    publisher.push(["gridlet/setcap:1"], [publisher.busybox, layer_blob(layer)], config)


def push_user(publisher):
    layer = Layer()
    layer.file("show", SHOW, 0o755)
    layer.dir("work", 0o750, uid=1234, gid=5678)
    layer.dir("data", 0o700, uid=1234, gid=5678)
    layer.file("data/seed", "from the image\n", uid=1234, gid=5678)
    config = {
        "User": "1234:5678",
        "WorkingDir": "/work",
        "Volumes": {"/data": {}},
        "StopSignal": "SIGUSR1",
        "Entrypoint": ["/show"],
        "Cmd": ["wait", "two words"],
        "Env": ENV + ["GREETING=hello = world", "EMPTY="],
        "Labels": {"org.gridlet.test": "user"},
        "ExposedPorts": {"8080/tcp": {}},
    }
    publisher.push(["gridlet/user:1"], [publisher.busybox, layer_blob(layer)], config)


def push_multiarch(publisher):
    """An index whose first entries are for others: another system, an attestation, arm64; then amd64. /arch tells."""
    if not publisher.wants("gridlet/multiarch:1"):
        return

    def image(text, base, platform):
        blob = layer_blob(Layer().file("arch", text + "\n"))
        config = {"Env": ENV, "Cmd": ["cat", "/arch"]}
        return image_of([*base, blob], config, platform), platform

    busybox = [publisher.busybox]
    publisher.registry.push_index("gridlet/multiarch:1", [
        image("plan9", [], {"os": "plan9", "architecture": "amd64"}),
        image("attestation", [], {"os": "unknown", "architecture": "unknown"}),
        image("arm64", [], {"os": "linux", "architecture": "arm64", "variant": "v8"}),
        image("amd64", busybox, {"os": "linux", "architecture": "amd64"}),
    ])


def layers40(stack):
    """39 layers over busybox. Every one adds a file and overwrites a common one; some take away what others brought."""
    for number in range(39):
        stack.begin()
        if number == 25:
            stack.remove("tree/common")
        stack.write(f"tree/files/{number}", f"file {number}")
        stack.write("tree/common", f"layer {number}")
        stack.write(f"tree/opaque/{number}", f"opaque {number}")
        stack.write(f"tree/folder-{number % 4}/sub/{number}", f"sub {number}")
        if number % 7 == 6:
            stack.remove(f"tree/files/{number - 3}")
        if number == 12:
            stack.remove("tree/folder-1")
        if number == 20:
            stack.opaque("tree/opaque")
        if number == 30:
            stack.remove("tree/never-was-there")
            stack.remove("tree/files/5")
        if number == 31:
            stack.write("tree/files/5/now-a-folder", "yes")
    return stack


def push_layers40(publisher):
    push_stack(publisher, "layers40", layers40(Stack()))


def push_whiteouts(publisher):
    """A layer's whiteout hides what is below it and nothing of its own layer, whichever comes first in the archive.
    Source: OCI image-spec, layer.md, "Whiteouts". containerd (1.6 and 2.4) refuses the first of these layers."""
    stack = Stack()
    stack.begin()
    for path in ("after", "before", "folder/old", "behind/old", "mixed/old"):
        stack.write("tree/" + path, "below")
    stack.begin()
    stack.write("tree/after", "above")
    stack.remove("tree/after")
    stack.remove("tree/before")
    stack.write("tree/before", "above")
    stack.remove("tree/folder")
    stack.write("tree/folder/new", "above")
    stack.write("tree/behind/new", "above")
    stack.remove("tree/behind")
    stack.write("tree/mixed/new", "above")
    stack.opaque("tree/mixed")
    push_stack(publisher, "whiteouts", stack)


def push_stack(publisher, name, stack):
    stack.layers[-1].file("expect", stack.expect())
    stack.layers[-1].file("check", CHECK_TREE, 0o755)
    checked(publisher, name, [publisher.busybox] + [layer_blob(layer) for layer in stack.layers])


def payload_layer():
    """Three MB that compress, and a command that checks them."""
    generator = random.Random(7)
    words = [generator.randbytes(6).hex() for _ in range(2000)]
    text = "\n".join(generator.choice(words) for _ in range(240_000)).encode()
    layer = Layer()
    layer.file("payload", text)
    layer.file("payload.sha256", f"{hashlib.sha256(text).hexdigest()}  /payload\n")
    layer.file("check", "#!/bin/sh\nexec sha256sum -c /payload.sha256\n", 0o755)
    return layer


def push_compressions(publisher):
    payload = payload_layer()
    base = publisher.busybox_layer
    checked(publisher, "zstd", [layer_blob(base, TAR_ZSTD), layer_blob(payload, TAR_ZSTD, multi_zstd)])
    checked(publisher, "plain", [layer_blob(base, TAR_PLAIN), layer_blob(payload, TAR_PLAIN)])
    checked(publisher, "multigz", [publisher.busybox, layer_blob(payload, pack=multi_gzipped)])


class Expectations:
    """What stat(1) must say of each path of the hard image."""

    def __init__(self):
        self.lines = []
        self.sums = []

    def stat(self, path, form, want):
        self.lines.append(f"{form}|{want}|{path}\n")

    def content(self, path, data):
        self.sums.append(f"{hashlib.sha256(data).hexdigest()}  {path}\n")


def add_links(layer, expect):
    meta = {"mode": 0o640, "uid": 70000, "gid": 70001}
    layer.file("hard/first", "linked\n", **meta)
    layer.hardlink("hard/second", "hard/first", **meta)
    layer.hardlink("hard/sub/third", "./hard/first", **meta)
    layer.hardlink("hard/fourth", "/hard/first", **meta)
    for path in ("first", "second", "sub/third", "fourth"):
        expect.stat(path, "%F %a %u:%g %h", "regular file 640 70000:70001 4")
    layer.symlink("hard/to-first", "first")
    layer.symlink("hard/dangling", "../../../../nowhere/at all", uid=5, gid=6)
    layer.hardlink("hard/dangling-too", "hard/dangling", mode=0o777, uid=5, gid=6)
    expect.stat("dangling", "%N %u:%g %h", "'dangling' -> '../../../../nowhere/at all' 5:6 2")
    expect.stat("to-first", "%N", "'to-first' -> 'first'")
    layer.symlink("hard/long-target", "x" * 1000)
    expect.stat("long-target", "%s", "1000")


def add_nodes_and_modes(layer, expect):
    layer.add(Entry("hard/null", tarball.CHARDEV, mode=0o666, device=(1, 3)))
    layer.add(Entry("hard/block", tarball.BLOCKDEV, mode=0o660, gid=6, device=(259, 70000)))
    layer.add(Entry("hard/fifo", tarball.FIFO, mode=0o600))
    expect.stat("null", "%F %a %t:%T", "character special file 666 1:3")
    expect.stat("block", "%F %a %g %t:%T", "block special file 660 6 103:11170")
    expect.stat("fifo", "%F %a", "fifo 600")
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("both", 0o6711), ("none", 0)):
        layer.file("hard/" + name, "x", mode, uid=12, gid=34)
        expect.stat(name, "%a %u:%g", f"{mode:o} 12:34")
    layer.dir("hard/sticky", 0o1777)
    layer.dir("hard/setgid-folder", 0o2770, gid=50)
    layer.dir("hard/read-only-folder", 0o555, mtime=1000000000)
    layer.file("hard/read-only-folder/file", "written although its folder is not writable\n")
    expect.stat("sticky", "%a", "1777")
    expect.stat("setgid-folder", "%a %g", "2770 50")
    expect.stat("read-only-folder", "%a %Y", "555 1000000000")
    layer.file("hard/big-ids", "x", uid=3_000_000_000, gid=4_000_000_000)
    layer.file("hard/pax-ids", "x", pax={"uid": "2500000", "gid": "2600000", "uname": "root", "gname": "root"})
    layer.file("hard/names", "x", uid=1, gid=2, owner=("www-data", "www-data"))
    expect.stat("big-ids", "%u:%g", "3000000000:4000000000")
    expect.stat("pax-ids", "%u:%g", "2500000:2600000")
    expect.stat("names", "%u:%g", "1:2")


def add_times(layer, expect):
    layer.file("hard/time", "x", mtime=1234567890)
    layer.file("hard/time-fraction", "x", pax={"mtime": "1234567890.123456789"})
    layer.file("hard/time-2100", "x", mtime=4102444800)
    layer.symlink("hard/time-link", "time", mtime=1111111111)
    expect.stat("time", "%Y", "1234567890")
    expect.stat("time-fraction", "%Y", "1234567890")
    expect.stat("time-2100", "%Y", "4102444800")
    expect.stat("time-link", "%Y", "1111111111")


def add_names(layer, expect):
    """Names that only pax or GNU headers can hold, and names that shells and parsers trip over."""
    folder = "/".join(letter * 200 for letter in "abc")
    layer.file(f"hard/{folder}/pax", "pax\n")
    long_name = "hard/gnu/" + "g" * 240
    layer.dir("hard/gnu")
    layer.raw(tarball.gnu_long_member(Entry(long_name, data=b"gnu\n")))
    prefixed = "hard/prefix/" + "p" * 90 + "/" + "q" * 90
    layer.dir("hard/prefix/" + "p" * 90)
    layer.raw(tarball.ustar_prefix_member(Entry(prefixed, data=b"ustar\n")))
    expect.content(folder + "/pax", b"pax\n")
    expect.content(long_name.removeprefix("hard/"), b"gnu\n")
    expect.content(prefixed.removeprefix("hard/"), b"ustar\n")
    for name in ("with space", "-dash", "Grüße-日本", "back\\slash", "...", ".wh", "dot.", "*", "wh.not-a-whiteout"):
        layer.file("hard/odd/" + name, name)
        expect.stat("odd/" + name, "%s", str(len(name.encode())))
    layer.file(b"hard/bytes/\xff\xfe-latin", "bytes")
    layer.file("hard/bytes/new\nline", "newline")
    layer.raw(member(Entry("./hard/dot-slash", data=b"dot\n")))
    layer.raw(member(Entry("/hard/absolute", data=b"absolute\n")))
    layer.raw(member(Entry("hard/implied/parents/file", data=b"implied\n")))
    expect.content("dot-slash", b"dot\n")
    expect.content("absolute", b"absolute\n")
    expect.content("implied/parents/file", b"implied\n")
    expect.stat("implied/parents", "%F %a", "directory 755")


def add_repeats(layer, expect):
    """The last member of a name wins, whatever it replaces."""
    layer.raw(member(Entry("hard/twice", data=b"first\n")))
    layer.raw(member(Entry("hard/twice", data=b"second\n", mode=0o600)))
    layer.raw(member(Entry("hard/file-then-folder", data=b"x")))
    layer.raw(member(Entry("hard/file-then-folder/", tarball.DIRECTORY, mode=0o711)))
    layer.raw(member(Entry("hard/link-then-file", tarball.SYMLINK, linkname="twice")))
    layer.raw(member(Entry("hard/link-then-file", data=b"no longer a link\n")))
    expect.content("twice", b"second\n")
    expect.stat("file-then-folder", "%F %a", "directory 711")
    expect.content("link-then-file", b"no longer a link\n")
    expect.stat("link-then-file", "%F", "regular file")


def add_sparse(layer, expect, name, write):
    """A file of 64 MiB with two islands of data, written by `write`."""
    size = 64 << 20
    pieces = [(1 << 20, b"in the hole\n____" * 64), (40 << 20, b"another\n" * 1024)]
    whole = bytearray(size)
    for at, data in pieces:
        whole[at:at + len(data)] = data
    layer.raw(write("hard/" + name, pieces + [(size, b"")], size))
    expect.stat(name, "%s", str(size))
    expect.content(name, bytes(whole))


def push_rare(publisher):
    """What containerd (1.6 and 2.4) gets wrong: a time before 1970, and the old GNU form of sparse files (refused)."""
    layer, expect = Layer(), Expectations()
    layer.file("hard/time-1969", "x", pax={"mtime": "-86400"})
    expect.stat("time-1969", "%Y", "-86400")
    add_sparse(layer, expect, "sparse", tarball.old_sparse_member)
    push_hard_layer(publisher, "rare", layer, expect)


def push_hard_layer(publisher, name, layer, expect):
    tools = Layer()
    tools.file("check", CHECK_STAT, 0o755)
    tools.file("expect", "".join(expect.lines))
    tools.file("sums", "".join(expect.sums))
    tools.file("binary", BINARY_XATTR.hex())
    tools.file("bin/xattrs", publisher.program("xattrs"), 0o755)
    checked(publisher, name, [publisher.busybox, layer_blob(layer), layer_blob(tools)])


def push_hard(publisher):
    layer, expect = Layer(), Expectations()
    layer.raw(tarball.pax_member({"comment": "a global header, as git archive writes it"}, kind=tarball.PAX_GLOBAL))
    layer.raw(member(Entry("./", tarball.DIRECTORY, mode=0o755)))
    layer.dir("hard")
    add_links(layer, expect)
    add_nodes_and_modes(layer, expect)
    add_times(layer, expect)
    add_names(layer, expect)
    add_repeats(layer, expect)
    add_sparse(layer, expect, "sparse", tarball.pax_sparse_member)
    layer.file("hard/xattr", "x", pax={"SCHILY.xattr.user.binary": BINARY_XATTR, "GRIDLET.unknown": "ignored"})
    layer.raw(member(Entry("hard/old-style", kind=b"\0", data=b"version 7\n")))
    expect.content("old-style", b"version 7\n")
    push_hard_layer(publisher, "hard", layer, expect)


def push_all(publisher):
    push_setcap(publisher)
    push_user(publisher)
    push_multiarch(publisher)
    push_layers40(publisher)
    push_whiteouts(publisher)
    push_compressions(publisher)
    push_hard(publisher)
    push_rare(publisher)
