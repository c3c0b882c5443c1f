#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs Debian's docker-registry on a loopback port, over a given data folder.

    with Registry(data) as registry: ... registry.address ...      in tests
    registry.py serve --data DIR [--port N]                        until interrupted
    registry.py run --data DIR -- COMMAND ...                      while COMMAND runs; `{address}` in it becomes address:port
"""
import argparse
import http.client
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_S_MAX = 20
STOP_S_MAX = 10

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{data}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{address}"}}
"""


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Registry:
    """A running registry. port 0: any free one. Its log goes to the file `log`, or to a temporary one."""

    def __init__(self, data, port=0, log=None):
        self.data = Path(data)
        self.port = port
        self.log = log
        self.process = None
        self.scratch = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts it and returns when it answers. A port lost to somebody else between looking and using is tried anew."""
        attempts = 1 if self.port else 5
        for attempt in range(attempts):
            try:
                return self._start_once()
            except RuntimeError:
                if attempt + 1 == attempts:
                    raise
                self.port = 0
        raise AssertionError("unreachable")

    def _start_once(self):
        self.port = self.port or free_port()
        self.scratch = tempfile.TemporaryDirectory(prefix="registry-")
        self.data.mkdir(parents=True, exist_ok=True)
        config = Path(self.scratch.name, "config.yml")
        config.write_text(CONFIG.format(data=self.data.resolve(), address=self.address))
        log = Path(self.log or Path(self.scratch.name, "log"))
        with log.open("ab") as output:
            command = ["docker-registry", "serve", str(config)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"docker-registry does not answer on {self.address}:\n{text}")
            time.sleep(0.02)
        return self

    def _answers(self):
        connection = http.client.HTTPConnection(self.address, timeout=2)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 200 and self.process.poll() is None
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self):
        """Stops it; harmless when it is not running."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.scratch:
            self.scratch.cleanup()
            self.scratch = None


def serve(options):
    with Registry(options.data, options.port) as registry:
        print(registry.address, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


def run(options):
    with Registry(options.data, options.port) as registry:
        command = [word.replace("{address}", registry.address) for word in options.command]
        return subprocess.run(command).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="verb", required=True)
    for name, action in (("serve", serve), ("run", run)):
        verb = commands.add_parser(name)
        verb.add_argument("--data", required=True, help="the registry's data folder")
        verb.add_argument("--port", type=int, default=0, help="loopback port (default: any free one)")
        verb.set_defaults(action=action)
    verb.add_argument("command", nargs="+")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    options = parser.parse_args()
    if options.verb == "run":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(options.action(options))


if __name__ == "__main__":
    main()
