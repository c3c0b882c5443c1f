#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small v2 registry, from memory, that lies on request and remembers what it was asked.

    with LyingRegistry() as registry:
        image = registry.add_image("lie/image:1", [layer_blob(layer)])
        registry.fault(stall(after=1000), on="blob", match=image.layer_blobs[0].digest, times=1)
        ... pull registry.address + "/lie/image:1" ...
        assert len(registry.asked("blob")) == 3

Standard library only. As a command it serves one scenario of lying_scenarios.py until interrupted.
Source: OCI distribution-spec 1.1, "Pull"; RFC 9110, section 14 (ranges).
"""
import argparse
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lying_faults import ENDLESS_BYTES_MAX, Reply
from push import digest, image_of, index_of

RANGES_HONOUR = "honour"
RANGES_IGNORE = "ignore"
RANGES_WRONG = "wrong"

ROUTES = (
    ("manifest", re.compile(r"^/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)$")),
    ("blob", re.compile(r"^/v2/(?P<repository>.+)/blobs/(?P<reference>[^/]+)$")),
    ("tags", re.compile(r"^/v2/(?P<repository>.+)/tags/list$")),
    ("base", re.compile(r"^/v2/?$")),
    ("token", re.compile(r"^/token$")),
)


@dataclass
class Request:
    """One request as it came in, and what became of it."""

    method: str
    path: str
    query: str
    headers: dict
    route: str = "unknown"
    repository: str = ""
    reference: str = ""
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    sent_bytes: int = 0
    fault: str = ""


@dataclass
class Store:
    """What the registry has. May be shared by several registries."""

    blobs: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)


@dataclass
class Fault:
    apply: object
    on: str
    match: re.Pattern
    method: str
    left: int | None
    skip: int


def make_certificate(folder):
    """A self-signed certificate for 127.0.0.1 and localhost in this folder: (certificate file, key file)."""
    certificate, key = Path(folder, "registry.crt"), Path(folder, "registry.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, registry, tls):
        self.registry = registry
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        super().__init__(("127.0.0.1", port), Handler)

    def finish_request(self, request, client_address):
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        """Clients that hang up or dislike our certificate are expected here."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class LyingRegistry:
    """port 0: any free one. tls: (certificate file, key file). auth: BasicAuth, TokenAuth or None. store: shared or own.
    ranges: what becomes of Range requests. strict_accept: 404 for a manifest whose type the client does not accept."""

    def __init__(self, port=0, tls=None, auth=None, store=None, ranges=RANGES_HONOUR, strict_accept=False):
        self.store = store or Store()
        self.auth = auth
        self.ranges = ranges
        self.strict_accept = strict_accept
        self.requests = []
        self.faults = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.connections = set()
        self.server = Server(port, self, tls)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = ("https://" if tls else "http://") + self.address
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        """Ends the server, and with it every connection that stalls."""
        self.closing.set()
        self.server.shutdown()
        with self.lock:
            for connection in self.connections:
                hang_up(connection)
        self.server.server_close()
        self.thread.join()

    # What it has.

    def add_blob(self, data):
        self.store.blobs[digest(data)] = data
        return digest(data)

    def add_manifest(self, reference, media_type, data):
        """reference: repository:tag. The manifest can be had by its digest too."""
        repository, tag = reference.rsplit(":", 1)
        self.store.manifests[repository, tag] = (media_type, data)
        self.store.manifests[repository, digest(data)] = (media_type, data)
        return digest(data)

    def add_image(self, reference, blobs, config=None, **more):
        """An image of layer blobs (push.layer_blob). Returns the push.Image."""
        image = image_of(blobs, config, **more)
        for blob in image.blobs:
            self.add_blob(blob.data)
        self.add_manifest(reference, image.media_type, image.manifest)
        return image

    def add_index(self, reference, entries):
        """entries: [(push.Image, platform)]. Returns the digest of the index."""
        repository = reference.rsplit(":", 1)[0]
        for image, _ in entries:
            for blob in image.blobs:
                self.add_blob(blob.data)
            self.add_manifest(f"{repository}:{image.digest.replace(':', '-')}", image.media_type, image.manifest)
        return self.add_manifest(reference, *index_of(entries))

    # What it does wrong, and what it was asked.

    def fault(self, apply, on="blob", match="", method="GET", times=None, skip=0):
        """Lets `apply` (see lying_faults) change the replies to requests for a route (manifest, blob, tags, base, token or
        any) whose path matches: the next `times` of them (None: all) after the first `skip`. Earlier faults come first."""
        with self.lock:
            self.faults.append(Fault(apply, on, re.compile(match), method, times, skip))

    def clear_faults(self):
        with self.lock:
            self.faults.clear()

    def asked(self, route=None, reference=None, method=None):
        """The requests so far, of a route, for a reference (tag or digest), with a method."""
        with self.lock:
            return [
                request
                for request in self.requests
                if route in (None, request.route)
                and reference in (None, request.reference)
                and method in (None, request.method)
            ]

    def take_fault(self, request):
        """The fault for this request, if any, counted down."""
        with self.lock:
            for fault in self.faults:
                if fault.on not in ("any", request.route) or fault.method not in ("any", request.method):
                    continue
                if fault.left == 0 or not fault.match.search(request.path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.left is not None:
                    fault.left -= 1
                return fault.apply
        return None

    def reply_to(self, request):
        """The reply to send: honest, or what a fault made of it."""
        refused = self.auth.check(request, self) if self.auth and request.route != "token" else None
        reply = refused or self.honest(request)
        apply = None if refused else self.take_fault(request)
        if apply is None:
            return reply
        return apply(reply, request.path) if getattr(apply, "wants_path", False) else apply(reply)

    def honest(self, request):
        if request.route == "base":
            return Reply(200, {"Docker-Distribution-Api-Version": "registry/2.0"}, b"{}")
        if request.route == "token" and self.auth:
            return self.auth.token(request, request.body)
        if request.route == "manifest":
            return self.manifest(request)
        if request.route == "blob":
            return self.blob(request)
        return not_found("NAME_UNKNOWN")

    def manifest(self, request):
        media_type, data = self.store.manifests.get((request.repository, request.reference), (None, None))
        if data is None:
            return not_found("MANIFEST_UNKNOWN")
        if self.strict_accept and media_type not in request.headers.get("accept", ""):
            return not_found("MANIFEST_UNKNOWN")
        return Reply(200, {"Content-Type": media_type, "Docker-Content-Digest": digest(data)}, data)

    def blob(self, request):
        data = self.store.blobs.get(request.reference)
        if data is None:
            return not_found("BLOB_UNKNOWN")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": request.reference}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not wanted or self.ranges == RANGES_IGNORE:
            return Reply(200, headers, data)
        first = int(wanted[1])
        last = min(int(wanted[2] or len(data) - 1), len(data) - 1)
        if first > last:
            return Reply(416, {**headers, "Content-Range": f"bytes */{len(data)}"})
        if self.ranges == RANGES_WRONG:
            first = max(0, first - 7)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return Reply(206, headers, data[first:last + 1])


def not_found(code):
    return Reply(404, {"Content-Type": "application/json"}, b'{"errors":[{"code":"%s"}]}' % code.encode())


def hang_up(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 3600

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        with self.server.registry.lock:
            self.server.registry.connections.add(self.connection)

    def finish(self):
        with self.server.registry.lock:
            self.server.registry.connections.discard(self.connection)
        super().finish()

    def do_GET(self):
        registry = self.server.registry
        request = self.read_request()
        with registry.lock:
            registry.requests.append(request)
        reply = registry.reply_to(request)
        request.status, request.fault = reply.status, reply.fault
        try:
            self.send(request, reply)
        except OSError:
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_GET

    def read_request(self):
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, headers)
        request.body = self.rfile.read(int(headers.get("content-length", "0")))
        for route, pattern in ROUTES:
            match = pattern.match(path)
            if match:
                request.route = route
                request.repository = match.groupdict().get("repository", "")
                request.reference = match.groupdict().get("reference", "")
                break
        return request

    def send(self, request, reply):
        if reply.raw is not None:
            self.connection.sendall(reply.raw)
            self.close_connection = True
            return
        length = len(reply.body) if reply.length is None else reply.length
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if length == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif length == "":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(request, reply, chunked=length == "chunked")
        if isinstance(length, int) and length != len(reply.body):
            self.close_connection = True

    def send_body(self, request, reply, chunked):
        for piece in self.pieces(reply):
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            request.sent_bytes += len(piece)
            if request.sent_bytes == reply.stall_at:
                self.server.registry.closing.wait(reply.stall_s)
            if request.sent_bytes == reply.cut_at:
                hang_up(self.connection)
                self.close_connection = True
                return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def pieces(self, reply):
        """The body in pieces that end where the reply wants to stall or to cut."""
        marks = sorted(mark for mark in (reply.stall_at, reply.cut_at) if mark is not None)
        if 0 in marks:
            yield b""
        at = 0
        step = max(1, reply.bytes_per_s // 10) if reply.bytes_per_s else 1 << 16
        while at < len(reply.body):
            end = min([at + step, len(reply.body)] + [mark for mark in marks if mark > at])
            yield reply.body[at:end]
            at = end
            if reply.bytes_per_s and self.server.registry.closing.wait(0.1):
                return
        sent = 0
        while reply.endless and sent < ENDLESS_BYTES_MAX and not self.server.registry.closing.is_set():
            yield reply.endless
            sent += len(reply.endless)


def main():
    from lying_scenarios import SCENARIOS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=sorted(SCENARIOS), help="what to get wrong; the image is lie/image:1")
    parser.add_argument("--port", type=int, default=0, help="loopback port (default: any free one)")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with LyingRegistry(options.port) as registry:
        scenario = SCENARIOS[options.scenario]
        scenario.prepare(registry)
        print(f"{registry.address}/lie/image:1 ({scenario.outcome})", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        for request in registry.requests:
            print(request.method, request.path, request.status, request.sent_bytes, request.fault)


if __name__ == "__main__":
    main()
