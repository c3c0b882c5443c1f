# SPDX-License-Identifier: Apache-2.0
"""Layers that try to harm whoever unpacks them.

Files that are meant to land outside of the image are called `gridlet-escape...`: after a pull, none may exist on the node. A
node may refuse such an image or keep what is in it inside the image (`contain`), but must refuse those marked `refuse`.
"""
from dataclasses import dataclass

import tarball
from layers import TAR_GZIP, gzipped, zeros_gzip_member
from push import Blob, digest
from tarball import CHARDEV, DIRECTORY, FILE, HARDLINK, SYMLINK, Entry, archive, header, member, pax_member

CONTAIN = "contain"
REFUSE = "refuse"
EXBIBYTE = 1 << 60
UP = "../" * 24


@dataclass
class Hostile:
    """A layer blob, and what a node has to do with it."""

    name: str
    blob: Blob
    outcome: str


def from_tar(name, tar, outcome=CONTAIN):
    return Hostile(name, Blob(gzipped(tar), TAR_GZIP, digest(tar)), outcome)


def of(name, *entries, outcome=CONTAIN):
    return from_tar(name, archive([member(entry) for entry in entries]), outcome)


def file(name, data=b"out\n", **more):
    return Entry(name, FILE, data=data, **more)


def symlink(name, target):
    return Entry(name, SYMLINK, linkname=target, mode=0o777)


def hardlink(name, target):
    return Entry(name, HARDLINK, linkname=target)


def folder(name, mode=0o755):
    return Entry(name + "/", DIRECTORY, mode=mode)


def escaping_paths():
    """Names, symlinks and hard links that lead out of the root."""
    yield of("dotdot", file(UP + "gridlet-escape-dotdot"), file("a/b/../../" + UP + "tmp/gridlet-escape-dotdot2"))
    yield of("dotdot-folder", folder(UP + "gridlet-escape-folder"), folder("x/.."), folder(".."))
    yield of("absolute", file("/gridlet-escape-absolute"), file("//tmp/gridlet-escape-absolute"))
    yield of("symlink-absolute", symlink("a", "/etc"), file("a/gridlet-escape-symlink"))
    yield of("symlink-relative", symlink("a", UP + "tmp"), file("a/gridlet-escape-relative"))
    yield of("symlink-chain", symlink("a", "b"), symlink("b", "c/.."), symlink("c", "/etc"), file("a/gridlet-escape-chain"))
    yield of("symlink-swap", folder("a"), file("a/x"), symlink("a", "/etc"), file("a/gridlet-escape-swap"))
    yield of("symlink-file", symlink("a", "/etc/gridlet-escape-file"), file("a"))
    yield of("symlink-proc", symlink("a", "/proc/self/root"), file("a/etc/gridlet-escape-proc"))
    yield of("symlink-cwd", symlink("a", "/proc/self/cwd/" + UP), file("a/gridlet-escape-cwd"))
    yield of("root-is-symlink", symlink("./", "/etc"), symlink(".", "/etc"), file("./gridlet-escape-root"))
    yield of("hardlink-dotdot", hardlink("stolen", UP + "etc/passwd"))
    yield of("hardlink-absolute", hardlink("stolen", "/etc/gridlet-no-such-file"), outcome=REFUSE)
    yield of("hardlink-through-symlink", symlink("a", "/etc"), hardlink("stolen", "a/passwd"), file("stolen"))
    yield of("hardlink-to-symlink", symlink("a", "/etc/gridlet-escape-hard"), hardlink("b", "a"), file("b"))
    yield of("hardlink-to-itself", hardlink("me", "me"), outcome=REFUSE)
    yield of("hardlink-with-data", file("a"), Entry("b", HARDLINK, linkname=UP + "tmp/gridlet-escape-data", data=b"x"))
    yield of("empty-name", file(""), file("/"), file("."), file(".."))
    yield of("nul-name", Entry("short", pax={"path": b"nul\0" + UP.encode() + b"gridlet-escape-nul"}, data=b"x"))


def whiteouts():
    """Whiteouts that would remove files of the node, or of the node's own book-keeping."""
    yield of("whiteout-dotdot", file(UP + "etc/.wh.gridlet-victim"), file("a/../" + UP + "tmp/.wh.gridlet-victim"))
    yield of("whiteout-of-dots", file(".wh.."), file("a/.wh..."), file("a/.wh."), file(".wh./x"))
    yield of("whiteout-through-symlink", symlink("a", "/etc"), file("a/.wh.gridlet-victim"), file("b/.wh..wh.a"))
    yield of("opaque-through-symlink", symlink("a", "/tmp"), file("a/.wh..wh..opq"))
    yield of("opaque-root", file(".wh..wh..opq"), file("a"))
    yield of("whiteout-device", Entry("bin", CHARDEV, device=(0, 0), mode=0), Entry("etc/x", CHARDEV, device=(0, 0)))


def overlay_xattrs():
    """Extended attributes by which an image would steer the node's overlay mounts, or that are not well formed."""
    steering = {
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "LIBARCHIVE.xattr.trusted.overlay.redirect": "L2V0Yw==",
    }
    yield of("overlay-xattr", Entry("dir/", DIRECTORY, mode=0o755, pax=steering), Entry("file", pax=steering))
    yield of("bad-capability", file("cap", pax={"SCHILY.xattr.security.capability": b"\xff" * 300}))
    yield of("long-xattr", file("xattr", pax={"SCHILY.xattr.user." + "n" * 300: b"v" * 100_000}))


def lying_sizes():
    """Headers that claim more than there is, or more than there can be."""
    eight_eib = 8 * EXBIBYTE - 1
    yield of("size-8eib", Entry("huge", size=eight_eib, data=b"little"), outcome=REFUSE)
    yield of("size-negative", Entry("negative", size=-1, data=b"x"), outcome=REFUSE)
    yield of("size-pax", Entry("huge", pax={"size": str(eight_eib)}, data=b"x"), outcome=REFUSE)
    yield of("size-pax-nonsense", Entry("huge", pax={"size": "-0x5"}, data=b"x"), outcome=REFUSE)
    sparse = tarball.pax_sparse_member("sparse", [(eight_eib - 600, b"end")], eight_eib)
    yield from_tar("sparse-8eib", archive([sparse]), REFUSE)
    overlapping = tarball.pax_sparse_member("sparse", [(0, b"aaaa"), (-3, b"bbbb")], 100)
    yield from_tar("sparse-negative", archive([overlapping]), REFUSE)
    device = Entry("dev", CHARDEV, device=(1 << 40, 1 << 40), size=eight_eib)
    yield of("device-sizes", device, Entry("mem", CHARDEV, device=(1, 1), size=1 << 40))
    long_pax = pax_member({"comment": "x"}, size=eight_eib)
    yield from_tar("pax-8eib", archive([long_pax, member(file("x"))]), REFUSE)


def bombs():
    """Small blobs that want much memory, space or many inodes. A node must stop at its own limits."""
    yield from_tar("pax-64mib", archive([pax_member({"comment": b"x" * (64 << 20)}), member(file("x"))]), REFUSE)
    yield from_tar("longname-64mib", archive([tarball.gnu_long_member(file(b"n" * (64 << 20)))]), REFUSE)
    yield of("deep-path", file("d/" * 5000 + "x"), outcome=REFUSE)
    yield of("deep-folders", *[folder("d/" * depth + "d") for depth in range(1900)])
    yield of("long-component", file("n" * 300), outcome=REFUSE)
    yield of("many-files", *[file(f"many/{n % 100}/{n}", b"") for n in range(100_000)])
    yield zip_bomb(8 << 30)


def zip_bomb(size):
    """A file of zeros that is a thousand times larger than its blob: the same gzip member over and over."""
    step = 64 << 20
    head = gzipped(header(Entry("bomb", size=size), b"bomb", b""))
    blob = head + zeros_gzip_member(step) * (size // step) + gzipped(bytes(1024))
    return Hostile("zip-bomb", Blob(blob, TAR_GZIP, digest(b"nobody computes this")), REFUSE)


def broken():
    """Blobs that are not what the manifest says, or end too early."""
    whole = archive([member(file("a", b"a" * 100_000)), member(file("b", bytes(range(256)) * 400))])
    packed = gzipped(whole)

    def raw(name, data, diff_id=digest(whole)):
        return Hostile(name, Blob(data, TAR_GZIP, diff_id), REFUSE)

    yield raw("gzip-cut", packed[:-20])
    yield raw("gzip-cut-trailer", packed[:-4])
    yield raw("gzip-wrong-crc", packed[:-8] + b"\0\0\0\0" + packed[-4:])
    yield raw("gzip-flipped", packed[:60] + bytes([packed[60] ^ 0x55]) + packed[61:])
    yield raw("not-gzip", b"this is no gzip stream\n" * 100)
    yield raw("empty-blob", b"")
    yield raw("not-tar", gzipped(b"neither is this a tar archive\n" * 100), digest(b"neither is this a tar archive\n" * 100))
    yield raw("wrong-diff-id", packed, digest(b"something else"))
    cut = whole[:1000]
    yield raw("tar-cut", gzipped(cut), digest(cut))
    checksum = archive([member(file("good")), member(file("bad", bad_checksum=True))])
    yield raw("tar-checksum", gzipped(checksum), digest(checksum))


def all_layers():
    """Every hostile layer, as Hostile. Names are unique."""
    for family in (escaping_paths, whiteouts, overlay_xattrs, lying_sizes, bombs, broken):
        yield from family()
