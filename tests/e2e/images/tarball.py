# SPDX-License-Identifier: Apache-2.0
"""Writes tar archives header by header, byte for byte.

Python's tarfile is too polite for tests: it cannot write sparse files, binary xattrs, names that are not UTF-8, sizes that
lie, or broken checksums. This writes exactly what it is told to, and is deterministic.
Source: POSIX.1-2017 pax interchange format; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".
"""
from dataclasses import dataclass, field

BLOCK = 512

FILE = b"0"
HARDLINK = b"1"
SYMLINK = b"2"
CHARDEV = b"3"
BLOCKDEV = b"4"
DIRECTORY = b"5"
FIFO = b"6"
PAX = b"x"
PAX_GLOBAL = b"g"
GNU_LONGNAME = b"L"
GNU_SPARSE = b"S"


def to_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def number(value, width):
    """A numeric header field: octal when it fits and is not negative, else GNU base-256."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    sign = 0xFF if value < 0 else 0x80
    return bytes([sign]) + (value & ((1 << 8 * (width - 1)) - 1)).to_bytes(width - 1, "big")


def padded(data):
    return data + bytes(-len(data) % BLOCK)


@dataclass
class Entry:
    """One member. `pax` holds extended header records; `size` is what the header says when that is not len(data)."""

    name: str | bytes
    kind: bytes = FILE
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    linkname: str | bytes = ""
    device: tuple = (0, 0)
    owner: tuple = ("", "")
    pax: dict = field(default_factory=dict)
    size: int | None = None
    bad_checksum: bool = False


def header(entry, name, linkname):
    """The 512 bytes of a ustar header. Names that are too long are cut: a pax record must carry the whole one."""
    size = len(entry.data) if entry.size is None else entry.size
    fields = [
        name[:100].ljust(100, b"\0"),
        number(entry.mode, 8),
        number(entry.uid, 8),
        number(entry.gid, 8),
        number(size, 12),
        number(entry.mtime, 12),
        b" " * 8,
        entry.kind,
        linkname[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        to_bytes(entry.owner[0]).ljust(32, b"\0"),
        to_bytes(entry.owner[1]).ljust(32, b"\0"),
        number(entry.device[0], 8),
        number(entry.device[1], 8),
        bytes(155 + 12),
    ]
    raw = b"".join(fields)
    total = sum(raw) + (1 if entry.bad_checksum else 0)
    return raw[:148] + b"%06o\0 " % total + raw[156:]


def pax_record(key, value):
    """`LENGTH KEY=VALUE\\n`, where LENGTH counts its own digits too."""
    body = b" " + to_bytes(key) + b"=" + to_bytes(value) + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def pax_member(records, kind=PAX, size=None):
    data = b"".join(pax_record(key, value) for key, value in records.items())
    member = Entry("PaxHeaders/entry", kind=kind, data=data, size=size)
    return header(member, b"PaxHeaders/entry", b"") + padded(data)


def member(entry):
    """The bytes of one member: pax header when it needs one, header, data and padding."""
    name, linkname = to_bytes(entry.name), to_bytes(entry.linkname)
    records = dict(entry.pax)
    if len(name) > 100:
        records.setdefault("path", name)
    if len(linkname) > 100:
        records.setdefault("linkpath", linkname)
    prefix = pax_member(records) if records else b""
    return prefix + header(entry, name, linkname) + padded(entry.data)


def gnu_long_member(entry):
    """The same with the name in a GNU `L` member, as GNU tar writes it by default."""
    name = to_bytes(entry.name)
    long = Entry("././@LongLink", kind=GNU_LONGNAME, data=name + b"\0")
    return header(long, b"././@LongLink", b"") + padded(long.data) + header(entry, name, b"") + padded(entry.data)


def with_checksum(raw):
    """A header whose fields were changed, with its checksum made right again."""
    blank = raw[:148] + b" " * 8 + raw[156:]
    return raw[:148] + b"%06o\0 " % sum(blank) + raw[156:]


def ustar_prefix_member(entry):
    """The same with the name split between the ustar fields prefix and name."""
    folder, name = to_bytes(entry.name).rsplit(b"/", 1)
    raw = header(entry, name, b"")
    return with_checksum(raw[:345] + folder.ljust(155, b"\0") + raw[500:]) + padded(entry.data)


def pax_sparse_member(name, pieces, real_size, mode=0o644):
    """A sparse file in GNU's pax format 1.0. pieces: [(offset, bytes)], in order."""
    text = "\n".join([str(len(pieces))] + [f"{at}\n{len(data)}" for at, data in pieces]) + "\n"
    data = padded(text.encode()) + b"".join(data for _, data in pieces)
    pax = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(real_size),
    }
    return member(Entry("GNUSparseFile.0/" + name.rsplit("/", 1)[-1], data=data, mode=mode, pax=pax))


def old_sparse_member(name, pieces, real_size, mode=0o644):
    """A sparse file in the old GNU format: at most four pieces, their map in the header itself."""
    assert len(pieces) <= 4
    data = b"".join(data for _, data in pieces)
    raw = bytearray(header(Entry(name, kind=GNU_SPARSE, data=data, mode=mode), to_bytes(name), b""))
    raw[257:265] = b"ustar  \0"
    raw[345:345 + 41] = bytes(41)
    for index, (at, piece) in enumerate(pieces):
        raw[386 + 24 * index:386 + 24 * (index + 1)] = number(at, 12) + number(len(piece), 12)
    raw[483:495] = number(real_size, 12)
    return with_checksum(bytes(raw)) + padded(data)


def archive(members):
    """Joins what member() and its kin gave, and ends the archive."""
    return b"".join(members) + bytes(2 * BLOCK)
