# SPDX-License-Identifier: Apache-2.0
"""What a registry can do wrong: functions that take an honest Reply and give the one to send instead.

    registry.fault(cut(1000), on="blob", times=2)
"""
from dataclasses import dataclass, field, replace

ENDLESS_BYTES_MAX = 64 << 30


@dataclass
class Reply:
    """An answer and how to send it. `length` is what Content-Length says: None for the truth, "" for no such header
    (the end of the connection ends the body), "chunked" for chunked transfer coding. After `cut_at` bytes of the body the
    connection is dropped; after `stall_at` bytes nothing is sent for `stall_s` seconds."""

    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    length: int | str | None = None
    cut_at: int | None = None
    stall_at: int | None = None
    stall_s: float = 0
    bytes_per_s: int = 0
    endless: bytes = b""
    raw: bytes | None = None
    fault: str = ""


def change(name, **fields):
    """A fault that replaces fields of the honest reply."""

    def apply(reply):
        return replace(reply, fault=name, **fields)

    return apply


def wrong_body():
    """As long as it should be, but other bytes."""

    def apply(reply):
        body = bytes(byte ^ 0x5A for byte in reply.body[:64]) + reply.body[64:]
        return replace(reply, body=body, fault="wrong_body")

    return apply


def short_body(size):
    """A well-formed answer that ends too early: Content-Length is true, the digest is not."""

    def apply(reply):
        return replace(reply, body=reply.body[:size], fault="short_body")

    return apply


def long_body(extra=1000):
    """More bytes than the descriptor says, the right ones first."""

    def apply(reply):
        return replace(reply, body=reply.body + bytes(extra), fault="long_body")

    return apply


def endless_body(length="chunked"):
    """The right bytes, then more and more until the client hangs up."""
    return change("endless_body", endless=bytes(1 << 16), length=length)


def cut(after):
    """Drops the connection after this many bytes of the body."""
    return change("cut", cut_at=after)


def stall(after, seconds=3600.0):
    """Sends this many bytes of the body, then nothing for a long time."""
    return change("stall", stall_at=after, stall_s=seconds)


def trickle(bytes_per_s):
    return change("trickle", bytes_per_s=bytes_per_s)


def status(code, body=b"", headers=None):
    return change(f"status_{code}", status=code, body=body, headers=headers or {})


def too_many_requests(retry_after_s):
    return status(429, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}', {"Retry-After": str(retry_after_s)})


def redirect(url, code=307):
    """To a fixed URL, or to what url(path) returns."""

    def apply(reply, path):
        target = url(path) if callable(url) else url
        return replace(reply, status=code, headers={"Location": target}, body=b"", fault="redirect")

    apply.wants_path = True
    return apply


def with_headers(**headers):
    """Other values for headers; underscores stand for dashes, None takes a header away."""

    def apply(reply):
        merged = dict(reply.headers)
        for name, value in headers.items():
            merged[name.replace("_", "-")] = value
        return replace(reply, headers={k: v for k, v in merged.items() if v is not None}, fault="with_headers")

    return apply


def endless_headers(count=100_000):
    lines = b"".join(b"X-Filler-%d: %s\r\n" % (n, b"x" * 1000) for n in range(count))
    return change("endless_headers", raw=b"HTTP/1.1 200 OK\r\n" + lines)


def raw_answer(data):
    """Exactly these bytes, then the end of the connection."""
    return change("raw_answer", raw=data)


def ambiguous_length():
    """Content-Length twice, with different values: what follows is anybody's guess."""

    def apply(reply):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(reply.body)
        return replace(reply, raw=head + reply.body, fault="ambiguous_length")

    return apply
