# SPDX-License-Identifier: Apache-2.0
"""One gridletd with folders, cgroup, bridge, table and addresses of its own, and what it may not leave behind."""
import itertools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

READY_S_MAX = 30
STOP_S_MAX = 30
GONE_S_MAX = 10  # what the kernel tears down by itself after a command has returned: namespaces with their links
SANITIZER = re.compile(rb"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|LeakSanitizer")
# What the daemon itself keeps in its folders while nothing runs.
LASTING_FOLDERS = ("pods", "containers", "network/pods")
CGROUPS = Path("/sys/fs/cgroup")

counter = itertools.count()


def read_or_empty(path):
    """A file of /proc or /sys: its owner may be gone."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


class Node:
    """base: an empty folder of its own, with a short name (sockets lie below it). registries: hosts.toml folder."""

    def __init__(self, base, programs, registries):
        number = next(counter)
        tag = f"{os.getpid() % 65536:04x}{number:x}"
        self.base, self.programs, self.registries = Path(base), Path(programs), Path(registries)
        self.root, self.run = self.base / "root", self.base / "run"
        self.cgroup, self.bridge, self.table = f"gl-e2e-{tag}", f"gle{tag}", f"gle_{tag}"
        block = (os.getpid() * 16 + number) % 16384  # of the 64 times 256 ranges below 10.128.0.0/10
        self.cidr = f"10.{128 + block // 256}.{block % 256}.0/24"
        self.cidr6 = f"fd00:{os.getpid() % 65536:x}:{number:x}::/64"
        self.log_path = self.base / "gridletd.log"
        self.options = []
        self.process = None

    @property
    def socket(self):
        return f"unix://{self.run}/cri.sock"

    def command(self):
        names = ["--cgroup-root", self.cgroup, "--bridge", self.bridge, "--nft-table", self.table]
        ranges = ["--pod-cidr", self.cidr, "--pod-cidr6", self.cidr6]
        return [self.programs / "gridletd", "--root", self.root, "--run", self.run, *names, *ranges,
                "--registries", self.registries, *self.options]

    def start(self):
        """Returns when the daemon serves."""
        assert self.process is None, "the node runs already"
        ready, told = os.pipe()
        with self.log_path.open("ab") as log:
            environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
            self.process = subprocess.Popen([*self.command(), "--ready-fd", str(told)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, pass_fds=[told], env=environment)
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            readable, _, _ = select.select([pipe], [], [], READY_S_MAX)
            if not readable or pipe.readline() != b"READY=1\n":
                self.kill()
                raise RuntimeError(f"gridletd did not start:\n{self.log()[-3000:]}")
        return self

    def stop(self):
        """Ends the daemon as its service manager would; pods go on. Returns its exit status."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"gridletd did not stop in {STOP_S_MAX} s:\n{self.log()[-3000:]}") from None

    def kill(self):
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        assert self.stop() == 0
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def gridlet(self, *words, check=True, timeout=120, stdin=None):
        """Runs the CLI against this node."""
        command = [self.programs / "gridlet", "--run", self.run, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin)
        if check and result.returncode != 0:
            raise AssertionError(f"gridlet {' '.join(map(str, words))}: {result.returncode}\n{result.stderr}")
        return result

    # ---- what is there, of this node ----

    def sanitizer_reports(self):
        text = self.log_path.read_bytes() if self.log_path.exists() else b""
        match = SANITIZER.search(text)
        return [text[match.start():match.start() + 4000].decode(errors="replace")] if match else []

    def processes(self):
        """pid -> command line of what belongs to this node: in its cgroup, or started for its folders."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            groups, line = read_or_empty(folder / "cgroup"), read_or_empty(folder / "cmdline")
            if f"/{self.cgroup}/".encode() in groups or (bytes(self.run) in line and b"gridlet" in line):
                found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
        return found

    def cgroups(self):
        """Groups below the node's own, in every hierarchy."""
        return [str(path) for top in self.cgroup_tops() for path in sorted(top.rglob("*")) if path.is_dir()]

    def cgroup_tops(self):
        return [top for top in (CGROUPS / self.cgroup, *CGROUPS.glob(f"*/{self.cgroup}")) if top.is_dir()]

    def mounts(self):
        lines = Path("/proc/self/mountinfo").read_text().split("\n")
        points = [line.split()[4] for line in lines if line]
        return [point for point in points if point.startswith((f"{self.root}/", f"{self.run}/"))]

    def has_bridge(self):
        return Path("/sys/class/net", self.bridge).exists()

    def links(self):
        if not self.has_bridge():
            return []
        text = subprocess.run(["ip", "-json", "link", "show", "master", self.bridge], capture_output=True, text=True).stdout
        return [link["ifname"] for link in json.loads(text or "[]") if "ifname" in link]

    def nft_elements(self):
        result = subprocess.run(["nft", "-j", "list", "table", "inet", self.table], capture_output=True, text=True)
        if result.returncode != 0:
            return []
        parts = [part[kind] for part in json.loads(result.stdout)["nftables"] for kind in ("map", "set") if kind in part]
        return [f"{part['name']}: {part['elem']}" for part in parts if part.get("elem")]

    def files(self):
        """What lies in the folders of pods and containers, and in the run folder beside sockets and lock."""
        folders = [self.root / name for name in LASTING_FOLDERS] + [self.run / "pods", self.run / "containers"]
        return [str(path) for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name != "corrupt"]

    def leftovers(self):
        """Everything that must be gone once all pods are removed and the daemon has stopped; waits for the kernel's part."""
        deadline = time.monotonic() + GONE_S_MAX
        while True:
            kinds = {"process": [f"{pid} {line}" for pid, line in self.processes().items()], "cgroup": self.cgroups(),
                     "mount": self.mounts(), "link": self.links(), "nft element": self.nft_elements(), "file": self.files()}
            found = [f"{kind}: {name}" for kind, names in kinds.items() for name in names]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def destroy(self):
        """Removes by force everything that is this node's and nobody else's, for the end of a test."""
        if self.process:
            self.kill()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + GONE_S_MAX
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        for point in reversed(self.mounts()):
            subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "delete", self.bridge], stderr=subprocess.DEVNULL)
        subprocess.run(["nft", "delete", "table", "inet", self.table], stderr=subprocess.DEVNULL)
        for top in self.cgroup_tops():
            for group in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                group.rmdir()
            top.rmdir()
        shutil.rmtree(self.base)


def mirror_everything(folder, address):
    """Writes a hosts.toml layout that sends every registry critest and the tests name to the one at address."""
    for registry in ("docker.io", "registry.k8s.io", "k8s.gcr.io", "gcr.io"):
        mirror_registry(folder, registry, address)
    return folder


def mirror_registry(folder, registry, address):
    path = Path(folder, registry)
    path.mkdir(parents=True)
    lines = [f'server = "http://{address}"', "", f'[host."http://{address}"]', 'capabilities = ["pull", "resolve"]', ""]
    (path / "hosts.toml").write_text("\n".join(lines))
