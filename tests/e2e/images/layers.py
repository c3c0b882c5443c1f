# SPDX-License-Identifier: Apache-2.0
"""Image layers: what is in them (Layer) and how they are packed (gzip, zstd, plain, ...). Deterministic."""
import gzip
import os
import subprocess
import zlib

import tarball
from tarball import Entry

TAR_GZIP = "gzip"
TAR_ZSTD = "zstd"
TAR_PLAIN = "plain"


class Layer:
    """A list of tar members in the order in which they were added. Parent folders are added by themselves, a path that is
    already there is left as it is; `raw` adds anything that these rules forbid."""

    def __init__(self):
        self.members = []
        self.seen = set()
        self._tar = None

    def add(self, entry):
        path = tarball.to_bytes(entry.name).strip(b"/")
        if path in self.seen:
            return self
        parent = os.path.dirname(path)
        if parent and parent not in self.seen:
            self.dir(parent)
        self.seen.add(path)
        return self.raw(tarball.member(entry))

    def raw(self, member):
        self.members.append(member)
        self._tar = None
        return self

    def dir(self, path, mode=0o755, **more):
        name = tarball.to_bytes(path).strip(b"/") + b"/"
        return self.add(Entry(name, tarball.DIRECTORY, mode=mode, **more))

    def file(self, path, data=b"", mode=0o644, **more):
        return self.add(Entry(strip(path), data=tarball.to_bytes(data), mode=mode, **more))

    def symlink(self, path, target, **more):
        return self.add(Entry(strip(path), tarball.SYMLINK, linkname=target, mode=0o777, **more))

    def hardlink(self, path, target, **more):
        """Tar gives a hard link the attributes of its file, and so must `more`."""
        return self.add(Entry(strip(path), tarball.HARDLINK, linkname=target, **{"mode": 0o755, **more}))

    def whiteout(self, path):
        folder, name = os.path.split(path)
        return self.file(os.path.join(folder, ".wh." + name))

    def opaque(self, folder):
        return self.file(folder + "/.wh..wh..opq")

    def tar(self):
        if self._tar is None:
            self._tar = tarball.archive(self.members)
        return self._tar


def strip(path):
    return path.strip(b"/" if isinstance(path, bytes) else "/")


def gzipped(data, level=6):
    return gzip.compress(data, compresslevel=level, mtime=0)


def multi_gzipped(data, members=5):
    """Several gzip members one after the other, the last one empty: one stream by RFC 1952, section 2.2."""
    step = max(1, len(data) // members)
    parts = [data[at:at + step] for at in range(0, len(data), step)]
    return b"".join(gzipped(part) for part in parts + [b""])


def zstd(data):
    """Python has no zstd before 3.14, so the command does it."""
    return subprocess.run(["zstd", "-q", "-3", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def multi_zstd(data):
    """Two frames with a skippable one between and one at the end, which is what zstd:chunked layers look like."""
    skippable = b"\x50\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"gridlet"
    half = len(data) // 2
    return zstd(data[:half]) + skippable + zstd(data[half:]) + skippable


def zeros_gzip_member(size):
    """A gzip member that holds `size` zero bytes, made without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = bytes(1 << 20)
    out = []
    left = size
    while left:
        out.append(packer.compress(chunk[:min(left, len(chunk))]))
        left -= min(left, len(chunk))
    return b"".join(out) + packer.flush()


PACKERS = {TAR_GZIP: gzipped, TAR_ZSTD: zstd, TAR_PLAIN: bytes}
