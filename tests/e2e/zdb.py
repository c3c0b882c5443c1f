# SPDX-License-Identifier: Apache-2.0
"""One gridlet-zdb with folders of its own, and a client that speaks RESP to it."""
import itertools
import os
import re
import select
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

READY_S_MAX = 60
STOP_S_MAX = 60
REPLY_S_MAX = 60
SANITIZER = re.compile(rb"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|LeakSanitizer")


class Error(str):
    """A reply "-text"."""


class Simple(str):
    """A reply "+text"."""


OK = Simple("OK")


class Closed(Exception):
    """The server has closed the connection."""


def encode(*args):
    parts = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class Client:
    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else (socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(REPLY_S_MAX)
        self.socket.connect(address)
        self.pending = b""
        self.at = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionError:
            raise Closed from None
        if not data:
            raise Closed
        self.pending = self.pending[self.at:] + data
        self.at = 0

    def line(self):
        while (end := self.pending.find(b"\r\n", self.at)) < 0:
            self.more()
        line, self.at = self.pending[self.at:end], end + 2
        return line

    def take(self, count):
        while len(self.pending) - self.at < count:
            self.more()
        taken = self.pending[self.at:self.at + count]
        self.at += count
        return taken

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return Simple(rest.decode())
        if kind == b"-":
            return Error(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        assert kind == b"$", line
        if rest == b"-1":
            return None
        return self.take(int(rest) + 2)[:-2]

    def __call__(self, *args):
        self.send(encode(*args))
        return self.reply()

    def pipeline(self, commands):
        self.send(b"".join(encode(*command) for command in commands))
        return [self.reply() for _ in commands]

    def is_closed(self):
        """Reads to the end: whether the server closes without saying more."""
        try:
            self.more()
            return False
        except Closed:
            return True

    def info(self, name):
        return dict(line.split(": ", 1) for line in self("NSINFO", name).decode().split("\n") if ": " in line)


class Zdb:
    """base: an empty folder of its own, with a short name (a socket lies in it)."""

    def __init__(self, programs, base, *options):
        self.program, self.base, self.options = Path(programs, "gridlet-zdb"), Path(base), list(options)
        self.socket = str(self.base / "s")
        self.log_path = self.base / "log"
        self.process = None
        self.environment = {}

    def command(self):
        words = [self.program, "--data", self.base / "data", "--index", self.base / "index", *map(str, self.options)]
        if os.geteuid() == 0 and "--user" not in self.options:  # a machine may have the user gridlet-zdb: tests' folders are root's
            words += ["--user", "root"]
        return words

    def network(self):
        """Where it listens, unless the options say so."""
        words = [str(option) for option in self.options]
        reserve = [] if "--reserve" in words else ["--reserve", "0"]
        given = "--listen" in words or "--port" in words or "--socket" in words
        return reserve + ([] if given else ["--socket", self.socket])

    def start(self):
        """Returns when it serves."""
        assert self.process is None, "it runs already"
        ready, told = os.pipe()
        with self.log_path.open("ab") as log:
            environment = {**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", **self.environment}
            environment.pop("ASAN_OPTIONS", None)
            self.process = subprocess.Popen([*self.command(), *self.network(), "--ready-fd", str(told)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[told],
                                            env=environment)
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            readable, _, _ = select.select([pipe], [], [], READY_S_MAX)
            if not readable or pipe.readline() != b"READY=1\n":
                self.kill()
                raise RuntimeError(f"gridlet-zdb did not start:\n{self.log()[-3000:]}")
        return self

    def stop(self):
        """Ends it as its service manager would. Returns its exit status."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"gridlet-zdb did not stop:\n{self.log()[-3000:]}") from None

    def kill(self):
        process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def port(self):
        return int(re.findall(r'msg="gridlet-zdb serves".* port=(\d+)', self.log())[-1])

    def client(self, address=None):
        return Client(address or self.socket)

    def sanitizer_reports(self):
        text = self.log_path.read_bytes() if self.log_path.exists() else b""
        match = SANITIZER.search(text)
        return [text[match.start():match.start() + 4000].decode(errors="replace")] if match else []

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if self.process and kind is None:
                assert self.stop() == 0, self.log()[-3000:]
        finally:
            self.kill()
        if kind is None:
            assert self.sanitizer_reports() == []


def until(condition, seconds=30):
    """Waits for what another process does."""
    deadline = threading.Event()
    timer = threading.Timer(seconds, deadline.set)
    timer.start()
    try:
        while not condition():
            assert not deadline.is_set(), "it did not happen in time"
            select.select([], [], [], 0.01)
    finally:
        timer.cancel()


# ---- fixtures, for import ----

numbers = itertools.count()


def maker(programs, tmp_path_factory):
    """A generator of make(*options): a server that is not started. It is killed at the end, if it still runs."""
    made = []

    def make(*options):
        base = tmp_path_factory.mktemp(f"z{next(numbers)}", numbered=False)
        for folder in (base, base.parent, base.parent.parent):  # a machine may have the user gridlet-zdb
            folder.chmod(0o711)
        made.append(Zdb(programs, base, *options))
        return made[-1]

    yield make
    for server in made:
        server.kill()
        assert server.sanitizer_reports() == []


@pytest.fixture
def make(programs, tmp_path_factory):
    yield from maker(programs, tmp_path_factory)


@pytest.fixture
def make_fast(release_programs, tmp_path_factory):
    """The same without sanitizers, where the number of operations counts."""
    yield from maker(release_programs, tmp_path_factory)


@pytest.fixture
def server(make):
    with make() as running:
        yield running


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client
