# SPDX-License-Identifier: Apache-2.0
"""Named ways in which a registry can fail or lie to whoever pulls lie/image:1, and what a good client makes of each.

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_pull(name):
        with LyingRegistry() as registry:
            scenario = SCENARIOS[name]
            scenario.prepare(registry)
            ... pull, and compare with scenario.outcome ...
"""
import json
import random
from dataclasses import dataclass
from functools import cache

import lying_faults as faults
from layers import Layer
from lying_auth import BasicAuth, TokenAuth
from lying_faults import Reply
from lying_manifests import BROKEN
from lying_registry import RANGES_IGNORE, RANGES_WRONG
from push import layer_blob

PULLS = "pulls"
FAILS = "fails"
EITHER = "either"

BLOB_BYTES = 300_000
MIDDLE = 100_000


@dataclass
class Scenario:
    """prepare(registry) makes it ready. outcome: what must become of the pull. `slow`: a client is entitled to wait for its
    own timeouts, up to a minute. In no case may a client keep wrong bytes, wait without end, or use up the node."""

    name: str
    outcome: str
    prepare: object
    slow: bool = False


SCENARIOS = {}


@cache
def blobs():
    """Two layers: a small one, and one that does not compress and so is about BLOB_BYTES large."""
    noise = random.Random(3).randbytes(BLOB_BYTES)
    return layer_blob(Layer().file("first", "1\n")), layer_blob(Layer().file("second", noise))


def honest(registry):
    return registry.add_image("lie/image:1", blobs(), {"Cmd": ["/first"]})


def add(name, outcome, prepare, slow=False):
    assert name not in SCENARIOS
    SCENARIOS[name] = Scenario(name, outcome, prepare, slow)


def add_fault(name, outcome, apply, on="big", slow=False, **limits):
    """A scenario of one fault, on the big layer, the config, or a route."""

    def prepare(registry):
        image = honest(registry)
        digests = {"big": image.blobs[2].digest, "config": image.blobs[0].digest}
        if on in digests:
            registry.fault(apply, on="blob", match=digests[on], **limits)
        else:
            registry.fault(apply, on=on, **{"method": "any", **limits})

    add(name, outcome, prepare, slow)


def add_server(name, outcome, **settings):
    """A scenario of the server's own settings."""

    def prepare(registry):
        honest(registry)
        for key, value in settings.items():
            setattr(registry, key, value() if key == "auth" else value)

    add(name, outcome, prepare)


def add_bodies():
    add("honest", PULLS, honest)
    for where in ("big", "config", "manifest"):
        add_fault(f"wrong-body-{where}", FAILS, faults.wrong_body(), on=where)
        add_fault(f"short-body-{where}", FAILS, faults.short_body(30), on=where)
    add_fault("wrong-body-once", EITHER, faults.wrong_body(), times=1)
    add_fault("long-body", FAILS, faults.long_body())
    add_fault("endless-chunked", FAILS, faults.endless_body("chunked"))
    add_fault("endless-until-close", FAILS, faults.endless_body(""))
    add_fault("endless-config", FAILS, faults.endless_body("chunked"), on="config")
    add_fault("endless-manifest", FAILS, faults.endless_body("chunked"), on="manifest")
    add_fault("length-8eib", FAILS, faults.change("length", length=(8 << 60) - 1))
    add_fault("no-length", PULLS, faults.change("no_length", length=""))
    add_fault("chunked", PULLS, faults.change("chunked", length="chunked"))
    add_fault("chunked-manifest", PULLS, faults.change("chunked", length="chunked"), on="manifest")
    lie = faults.with_headers(Docker_Content_Digest="sha256:" + "0" * 64)
    add_fault("digest-header-lies", EITHER, lie, on="manifest")
    add_fault("digest-header-missing", PULLS, faults.with_headers(Docker_Content_Digest=None), on="manifest")
    add_fault("content-type-missing", EITHER, faults.with_headers(Content_Type=None), on="manifest")


def add_connections():
    add_fault("cut-once", PULLS, faults.cut(MIDDLE), times=1)
    add_fault("cut-always", EITHER, faults.cut(MIDDLE))
    add_fault("cut-at-0", FAILS, faults.cut(0))
    add_fault("cut-manifest-once", PULLS, faults.cut(10), on="manifest", times=1, method="GET")
    add_fault("stall-blob", FAILS, faults.stall(MIDDLE), slow=True)
    add_fault("stall-blob-once", EITHER, faults.stall(MIDDLE), slow=True, times=1)
    add_fault("stall-manifest", FAILS, faults.stall(10), on="manifest", slow=True)
    add_fault("stall-at-0", FAILS, faults.stall(0), slow=True)
    add_fault("trickle", PULLS, faults.trickle(60_000), slow=True)

    def cut_with(ranges):
        def prepare(registry):
            image = honest(registry)
            registry.ranges = ranges
            registry.fault(faults.cut(MIDDLE), match=image.blobs[2].digest, times=1)

        return prepare

    add("cut-once-ranges-ignored", PULLS, cut_with(RANGES_IGNORE))
    add("cut-once-ranges-wrong", EITHER, cut_with(RANGES_WRONG))


def add_statuses():
    add_fault("429-twice", PULLS, faults.too_many_requests(1), times=2)
    add_fault("429-manifest-once", PULLS, faults.too_many_requests(1), on="manifest", times=1)
    add_fault("429-for-a-day", FAILS, faults.too_many_requests(86400), slow=True)
    add_fault("429-nonsense", EITHER, faults.too_many_requests("-1e9 moons"), times=1)
    add_fault("429-forever", FAILS, faults.too_many_requests(0), slow=True)
    add_fault("500-twice", PULLS, faults.status(500), times=2)
    add_fault("503-manifest-twice", PULLS, faults.status(503), on="manifest", times=2)
    add_fault("500-forever", FAILS, faults.status(500), slow=True)
    add_fault("404-blob", FAILS, faults.status(404))
    add_fault("403-manifest", FAILS, faults.status(403), on="manifest")
    add_fault("206-unasked", EITHER, faults.change("unasked", status=206))
    add_fault("204-blob", FAILS, faults.status(204))
    add_fault("999-blob", FAILS, faults.status(999))
    add_fault("endless-headers", FAILS, faults.endless_headers())
    add_fault("ambiguous-length", FAILS, faults.ambiguous_length())
    add_fault("not-http", FAILS, faults.raw_answer(b"220 mail.example ESMTP\r\n"))
    add_fault("no-answer", FAILS, faults.raw_answer(b""), slow=True)
    add_fault("error-page", FAILS, faults.status(500, b"\x1b[2J\x07<b>\r\nforged log line\n" * 10_000), on="manifest", slow=True)


def add_redirects():
    add_fault("redirect-loop", FAILS, faults.redirect(lambda path: path))
    add_fault("redirect-file", FAILS, faults.redirect("file:///etc/passwd"))
    add_fault("redirect-gopher", FAILS, faults.redirect("gopher://127.0.0.1:1/x"))
    add_fault("redirect-nowhere", FAILS, faults.redirect("http://127.0.0.1:1/"))
    add_fault("redirect-empty", FAILS, faults.redirect(""))
    add_fault("redirect-same", PULLS, faults.redirect(lambda path: path), times=1)
    for code in (301, 302, 303, 308):
        add_fault(f"redirect-{code}", PULLS, faults.redirect(lambda path: path, code), times=1)


def add_authentication():
    add_server("basic-without-credentials", FAILS, auth=lambda: BasicAuth("alice", "secret"))
    add_server("challenge-unknown", FAILS, auth=lambda: BasicAuth("alice", "secret", "Negotiate"))
    add_server("challenge-nonsense", FAILS, auth=lambda: BasicAuth("alice", "secret", 'Bearer realm="'))
    add_server("token-anonymous", PULLS, auth=lambda: TokenAuth(anonymous=True))
    add_server("token-anonymous-access-token", PULLS, auth=lambda: TokenAuth(anonymous=True, field_name="access_token"))
    add_server("token-ends-after-1", PULLS, auth=lambda: TokenAuth(anonymous=True, uses=1))
    add_server("token-never-works", FAILS, auth=lambda: TokenAuth(anonymous=True, uses=0))
    add_server("token-without-scope", FAILS, auth=lambda: TokenAuth(anonymous=True, granted=set()))
    add_server("token-denied", FAILS, auth=TokenAuth)
    for name, realm in (("file", "file:///etc/passwd"), ("nowhere", "http://127.0.0.1:1/token"), ("empty", " ")):
        add_server(f"token-realm-{name}", FAILS, auth=lambda realm=realm: TokenAuth(anonymous=True, realm=realm))

    def token_answer(body):
        def prepare(registry):
            honest(registry)
            registry.auth = TokenAuth(anonymous=True)
            registry.fault(lambda _reply: Reply(200, {}, body, fault="token"), on="token", method="any")

        return prepare

    injection = json.dumps({"token": "x\r\nX-Injected: yes"}).encode()
    add("token-injects-header", FAILS, token_answer(injection))
    add("token-64-mib", FAILS, token_answer(json.dumps({"token": "x" * (64 << 20)}).encode()))
    add("token-not-json", FAILS, token_answer(b"<html>"))
    add("token-missing", FAILS, token_answer(b"{}"))


def add_manifests():
    def broken(make):
        def prepare(registry):
            image = honest(registry)
            registry.add_blob(b"{}")
            registry.add_manifest("lie/image:1", *make(image))

        return prepare

    for name, make in BROKEN.items():
        add(f"manifest-{name}", FAILS, broken(make))


for _family in (add_bodies, add_connections, add_statuses, add_redirects, add_authentication, add_manifests):
    _family()
