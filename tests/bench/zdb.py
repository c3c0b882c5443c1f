#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares gridlet-zdb with redis-server (appendonly off) on this machine, alternating in one run.

    tests/bench/zdb.py [--programs build/release/bin] [--rows small,pipe,...] [--rounds N] [--json FILE]

Root, a C compiler and Debian's redis-server are needed. Keys and payloads are random and unique; after each row that writes,
every value is read again and compared. Its data lies on an ext4 with a journal, in a file of its own, loop-mounted in a
mount namespace of its own. Prints a table in Markdown of medians and ratios.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/e2e"))

from run import machine  # noqa: E402
from zdb import Client  # noqa: E402

INSIDE = "GRIDLET_BENCH_ZDB_INSIDE"
DISK_BYTES = 12 << 30
READY_S_MAX = 60
MIB = 1 << 20
COMPACT_VALUES, COMPACT_BYTES, COMPACT_RATE, BEFORE_S = 16384, 64 << 10, 5000, 5
OPEN_KEYS = 1_000_000

# row's key -> (title, unit, what the issue asks for: (text, bound of the ratio to the rival or of the value, or None))
RIVALS = {
    "set": ("SET 64 B, 50 connections, no sync", ">= 1x redis-server"),
    "get": ("GET 64 B, 50 connections", ">= 1x redis-server"),
    "set_pipe": ("SET 64 B, 50 connections, pipeline of 16", ">= 1x redis-server"),
    "get_pipe": ("GET 64 B, 50 connections, pipeline of 16", ">= 1x redis-server"),
    "get_large": ("GET 4 MiB, 1 connection, one reused buffer", ">= 2x redis-server"),
}


def run(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, **more)


class Server:
    """A server under measurement, on a port of its own."""

    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ready_s = self.wait()

    def wait(self):
        """Seconds until it answers; a redis that loads and a gridlet-zdb that recovers do not listen, or say so."""
        begun = time.monotonic()
        while time.monotonic() - begun < READY_S_MAX:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
            try:
                with Client(("127.0.0.1", self.port)) as client:
                    if client("PING") == "PONG":
                        return time.monotonic() - begun
            except OSError:
                time.sleep(0.002)
        raise RuntimeError(f"{self.name} does not answer")

    def command(self, *args):
        with Client(("127.0.0.1", self.port)) as client:
            return client(*args)

    def rss_mb(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(READY_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    def __init__(self, options, work, disk):
        self.options, self.work, self.disk = options, work, disk
        self.samples = defaultdict(lambda: defaultdict(list))
        self.servers, self.number, self.seed = [], 0, 0
        self.load_program = work / "zdb_load"
        run("cc", "-O2", "-o", self.load_program, HERE / "zdb_load.c")

    # ---- servers ----

    def zdb(self, *more, folder=None):
        self.number += 1
        folder = folder or self.disk / f"zdb{self.number}"
        port = free_port()
        program = Path(self.options.programs, "gridlet-zdb")
        command = [program, "--data", folder / "data", "--index", folder / "index", "--port", port, "--log-level", "error", *more]
        server = Server("gridlet-zdb", command, port)
        server.folder = folder
        self.servers.append(server)
        return server

    def redis(self):
        port = free_port()
        server = Server("redis-server", ["redis-server", "--port", port, "--save", "", "--appendonly", "no", "--dir", self.work], port)
        self.servers.append(server)
        return server

    def drop(self, server):
        server.stop()
        self.servers.remove(server)
        if server.name == "gridlet-zdb":
            shutil.rmtree(server.folder, ignore_errors=True)

    # ---- load ----

    def load(self, kind, where, **settings):
        settings = {"seed": self.seed, **settings}
        target = where if isinstance(where, Path) else f"port={where.port}"
        done = run(self.load_program, kind, target, *(f"{k}={v}" for k, v in settings.items()), stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def note(self, row, server, value):
        self.samples[row][server.name].append(value)

    def settle(self):
        """What one of them left for the disk is not the other's work."""
        os.sync()

    # ---- rows ----

    def pair(self):
        return self.zdb("--durability", "never"), self.redis()

    def both(self, pipe, count, suffix):
        servers = self.pair()
        for _ in range(self.options.rounds):
            self.seed += 1
            for server in servers:
                self.settle()
                common = {"conns": 50, "pipe": pipe, "count": count}
                self.note("set" + suffix, server, self.load("set", server, **common)["per_s"])
                self.note("get" + suffix, server, self.load("get", server, random=1, **common)["per_s"])
                self.load("verify", server, conns=8, pipe=16, count=count)
            servers = servers[::-1]
        for server in servers:
            self.drop(server)

    def small(self):
        self.both(1, 120_000, "")

    def pipe(self):
        self.both(16, 400_000, "_pipe")

    def large(self):
        servers = self.pair()
        for server in servers:
            self.load("set", server, size=4 * MIB, count=16)
        for _ in range(2 * self.options.rounds):
            for server in servers:
                result = self.load("raw", server, size=4 * MIB, count=400, step=16)
                self.note("get_large", server, result["per_s"] * 4.194304)
            servers = servers[::-1]
        for server in servers:
            self.load("verify", server, size=4 * MIB, count=16)
            self.drop(server)

    def durable(self):
        """4 KiB: the bare loop, 64 connections, one writer."""
        server = self.zdb()
        for _ in range(self.options.rounds):
            self.seed += 1
            bare = self.load("bare", self.disk / "bare", count=12800, size=4096, pipe=64)
            self.samples["durable"]["bare"].append(bare["per_s"])
            common = {"size": 4096, "count": 12800}
            self.note("durable", server, self.load("set", server, conns=64, **common)["per_s"])
            self.load("verify", server, conns=4, pipe=16, **common)
            self.seed += 1
            self.samples["durable"]["one"].append(self.load("set", server, count=500, size=4096)["per_s"])
            self.load("verify", server, count=500, size=4096)
        self.drop(server)

    def open(self):
        """A namespace of 1 M keys in both modes: time until the server answers, and memory over an empty one."""
        empty = self.zdb()
        base = empty.rss_mb()
        self.drop(empty)
        for mode in ("user", "seq"):
            self.seed += 1
            options = ("--mode", mode, "--durability", "never")
            seq = int(mode == "seq")
            server = self.zdb(*options)
            self.load("set", server, conns=1 if seq else 50, pipe=64, count=OPEN_KEYS, seq=seq)
            server.stop()
            for _ in range(self.options.rounds):
                self.servers.remove(server)
                server = self.zdb(*options, folder=server.folder)
                self.note(f"open_{mode}_s", server, server.ready_s)
                self.note(f"open_{mode}_mb", server, server.rss_mb() - base)
                if _ + 1 < self.options.rounds:
                    server.stop()
            self.load("verify", server, conns=8, pipe=64, count=OPEN_KEYS, seq=seq)
            self.drop(server)

    def paced(self, server, seconds=None, until=None):
        """Durable SETs of 64 B at COMPACT_RATE, for some seconds or until until() says so. (result, seed, count)"""
        self.seed += 1
        count = COMPACT_RATE * seconds if seconds else 1 << 40
        load = subprocess.Popen([self.load_program, "set", f"port={server.port}", "conns=64", f"count={count}",
                                 f"rate={COMPACT_RATE}", f"seed={self.seed}"], stdout=subprocess.PIPE)
        if until:
            time.sleep(0.2)
            until()
            load.terminate()
        result = json.loads(load.communicate(timeout=120)[0])
        assert load.returncode == 0
        return result, self.seed, result["ops"]

    def compaction(self):
        server = self.zdb("--compact-percent", "0")
        self.seed += 1
        seed = self.seed
        common = {"count": COMPACT_VALUES, "size": COMPACT_BYTES}
        self.load("set", server, conns=8, **common)
        self.load("del", server, conns=8, pipe=16, count=COMPACT_VALUES // 2, step=2)
        server.command("NSJUMP")
        self.settle()
        before, *first = self.paced(server, seconds=BEFORE_S)

        def compact():
            begun = time.monotonic()
            assert server.command("COMPACT") == "OK"
            while b"running" in server.command("COMPACT", "STATUS"):
                time.sleep(0.02)
            self.samples["compact"]["seconds"].append(time.monotonic() - begun)
        during, *second = self.paced(server, until=compact)
        self.samples["compact"]["status"].append(server.command("COMPACT", "STATUS").decode())
        self.samples["compact"]["before"].append(before)
        self.samples["compact"]["during"].append(during)
        for used, count in (first, second):
            self.load("verify", server, conns=8, pipe=16, seed=used, count=count)
        self.load("verify", server, conns=4, pipe=4, seed=seed, size=COMPACT_BYTES, count=COMPACT_VALUES // 2, step=2, first=1)
        self.drop(server)


# Cheap ones first; each drops what it made.
ROWS = ("small", "pipe", "large", "durable", "open", "compaction")


def verdict(reached, text):
    return f"{text}: {'reached' if reached else 'MISSED'}"


def median(values):
    return statistics.median(values) if values else 0


def line(title, *cells):
    print(f"| {title} | " + " | ".join(cells) + " |")


def report(samples):
    line("", "gridlet-zdb", "beside", "ratio", "asked")
    print("|---" * 5 + "|")
    for key, (title, asked) in RIVALS.items():
        if key in samples:
            ours, theirs = (median(samples[key][name]) for name in ("gridlet-zdb", "redis-server"))
            unit = "MB/s" if key == "get_large" else "/s"
            bound = float(asked.split()[1][:-1])
            line(title, f"{ours:,.0f} {unit}", f"redis-server {theirs:,.0f} {unit}", f"{ours / theirs:.2f}",
                 verdict(ours >= theirs * bound, asked))
    if "durable" in samples:
        ours, bare, one = (median(samples["durable"][name]) for name in ("gridlet-zdb", "bare", "one"))
        title = "durable SET 4 KiB, 64 connections"
        line(title, f"{ours:,.0f} /s", f"bare loop {bare:,.0f} /s", f"{ours / bare:.2f}", verdict(ours >= 0.6 * bare, ">= 0.6x"))
        line("... against one writer that syncs each", f"{ours:,.0f} /s", f"{one:,.0f} /s", f"{ours / one:.1f}",
             verdict(ours >= 8 * one, ">= 8x"))
    for mode in ("user", "seq"):
        if f"open_{mode}_s" in samples:
            seconds, mb = (median(samples[f"open_{mode}_{what}"]["gridlet-zdb"]) for what in ("s", "mb"))
            line(f"open 1 M keys, `{mode}`: time", f"{seconds:.2f} s", "", "", verdict(seconds <= 2, "<= 2 s"))
            line("... memory over an empty server", f"{mb:.1f} MB", "", "", verdict(mb <= 64, "<= 64 MB") if mode == "seq" else "")
    if "compact" in samples:
        found = {key: values[0] for key, values in samples["compact"].items()}
        before, during = found["before"], found["during"]
        line("durable SET 64 B at 5 k/s, before compaction of 1 GiB", f"{before['per_s']:,.0f} /s, p99 {before['p99_ms']:.2f} ms",
             f"max {before['max_ms']:.1f} ms", "", "")
        line(f"... during it ({found['seconds']:.1f} s)", f"{during['per_s']:,.0f} /s, p99 {during['p99_ms']:.2f} ms",
             f"max {during['max_ms']:.1f} ms", "", "reported")


def make_disk(work):
    """An ext4 with a journal, on a file in the work folder."""
    image, disk = work / "image", work / "disk"
    disk.mkdir()
    with open(image, "wb") as f:
        f.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    run("mount", "-o", "loop", image, disk)
    return disk


def measure(options, work, disk):
    begun, load = datetime.now(timezone.utc), os.getloadavg()
    bench = Bench(options, work, disk)
    try:
        for row in options.rows.split(","):
            getattr(bench, row)()
            print(f"bench: {row}", file=sys.stderr, flush=True)
    except (KeyboardInterrupt, RuntimeError, subprocess.CalledProcessError) as why:
        print(f"bench: INCOMPLETE: {why!r}\n")  # what is measured is measured
    finally:
        for server in bench.servers:
            server.stop()
    version = run("redis-server", "--version", stdout=subprocess.PIPE, text=True).stdout.split()[2]
    print(f"{begun:%Y-%m-%d %H:%M} to {datetime.now(timezone.utc):%H:%M} UTC, {machine()}")
    print("load average " + " / ".join(f"{value[0]:.1f}" for value in (load, os.getloadavg())) + " before / after; redis " + version)
    print(f"medians of {options.rounds} alternating rounds (GET 4 MiB: {2 * options.rounds})\n")
    report(bench.samples)
    if options.json:
        Path(options.json).write_text(json.dumps(bench.samples, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=str(TOP / "build/release/bin"), help="folder with gridlet-zdb")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for every sample")
    options = parser.parse_args()
    if not os.environ.get(INSIDE):
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then, too
    work = Path(tempfile.mkdtemp(prefix="gridlet-bench-zdb-", dir="/var/tmp"))
    disk = None
    try:
        disk = make_disk(work)
        measure(options, work, disk)
    finally:
        if disk:
            run("umount", disk)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
