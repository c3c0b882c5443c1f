# SPDX-License-Identifier: Apache-2.0
"""The runtimes that the benchmark compares, each with own folders on an own loop-mounted ext4, own sockets, own bridge.

They start inside the network and mount namespaces that run.py entered, so nothing of theirs is seen by the machine.
"""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

IMAGE_GIB = 8
START_S_MAX = 30
STOP_S_MAX = 20
PAUSE = "registry.k8s.io/pause:3.10"
CNI_PROGRAMS = "/usr/lib/cni"

CONFIG_16 = """\
version = 2
root = "{dir}/root"
state = "{run}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_programs}"
conf_dir = "{dir}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "bench"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bench]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bench.options]
BinaryName = "{oci}"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{registries}"
"""

CONFIG_2 = """\
version = 3
root = "{dir}/root"
state = "{run}/state"
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{dir}/opt"
[plugins."io.containerd.nri.v1.nri"]
disable = true
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{registries}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni_programs}"]
conf_dir = "{dir}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "bench"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.bench]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.bench.options]
BinaryName = "{oci}"
"""


def cni_config(name, number, folder):
    """The CNI bridge that is built like gridlet's own: both families, masquerade, hairpin, host ports."""
    ranges = [[{"subnet": f"10.{100 + number}.0.0/16"}], [{"subnet": f"fd00:{100 + number}::/64"}]]
    bridge = {"type": "bridge", "bridge": f"glb{number}", "isGateway": True, "ipMasq": True, "hairpinMode": True,
              "ipam": {"type": "host-local", "ranges": ranges, "dataDir": f"{folder}/ipam",
                       "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}
    return {"cniVersion": "0.4.0", "name": name, "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}


class Cpu:
    """CPU time of a runtime and all that it starts: a cgroup that holds its daemon and its pods' cgroups."""

    def __init__(self, name):
        v1 = Path("/sys/fs/cgroup/cpuacct")
        self.is_v1 = v1.is_dir()
        self.folder = (v1 if self.is_v1 else Path("/sys/fs/cgroup")) / name
        (self.folder / "daemon").mkdir(parents=True, exist_ok=True)

    def enter(self):
        (self.folder / "daemon/cgroup.procs").write_text("0")

    def used_ms(self):
        if self.is_v1:
            return int((self.folder / "cpuacct.usage").read_text()) / 1e6
        return int((self.folder / "cpu.stat").read_text().split()[1]) / 1e3

    def pids(self):
        """Every process of the runtime."""
        found = []
        for procs in self.folder.rglob("cgroup.procs"):
            try:
                found += [int(pid) for pid in procs.read_text().split()]
            except OSError:  # the cgroup went away
                continue
        return found


class Runtime:
    """One runtime: start(), use .socket, stop()."""

    def __init__(self, name, number, work):
        self.name, self.number = name, number
        self.mark = f"glbench{number}"
        self.dir = work / self.mark
        self.image = work / f"{self.mark}.img"
        self.run = work / f"{self.mark}-run"
        self.socket = self.run / "cri.sock"
        self.log = work / f"{self.mark}.log"
        self.parent = f"/{self.mark}/pods"
        self.cpu = Cpu(self.mark)
        self.process = None
        self.registries = work / "registries"

    def command(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def environment(self):
        return os.environ

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        with self.image.open("wb") as image:
            image.truncate(IMAGE_GIB << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-N", "200000", self.image],
                       check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.dir], check=True)
        self.run.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", self.run], check=True)  # as /run is
        command = self.command()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            preexec_fn=self.cpu.enter, env=self.environment(), start_new_session=True)
        deadline = time.monotonic() + START_S_MAX
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def _end(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop(self):
        """Ends the daemon and whatever a failed run left of its pods."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        deadline = time.monotonic() + STOP_S_MAX
        while self.cpu.pids() and time.monotonic() < deadline:
            for pid in self.cpu.pids():
                self._end(pid)
            time.sleep(0.05)
        for folder in (self.dir, self.run):
            subprocess.run(["umount", "-l", folder], check=False)
        self.image.unlink(missing_ok=True)
        for root in Path("/sys/fs/cgroup").glob(f"*/{self.mark}"):
            for folder in sorted((p for p in root.rglob("*") if p.is_dir()), reverse=True):
                folder.rmdir()
            root.rmdir()


class Gridlet(Runtime):
    """Our own."""

    def __init__(self, name, number, work, programs):
        super().__init__(name, number, work)
        self.programs = Path(programs)
        self.parent = ""

    def command(self):
        return [self.programs / "gridletd", "--root", self.dir / "root", "--run", self.run, "--cgroup-root", self.mark,
                "--bridge", f"glb{self.number}", "--registries", self.registries, "--pod-cidr", f"10.{100 + self.number}.0.0/16",
                "--pod-cidr6", f"fd00:{100 + self.number}::/64", "--nft-table", self.mark]

    def version(self):
        return subprocess.run([self.programs / "gridletd", "--version"], capture_output=True, text=True, check=True).stdout.strip()


class Containerd(Runtime):
    """containerd with an OCI runtime; `programs` is the folder with containerd and its shim."""

    def __init__(self, name, number, work, programs, oci):
        super().__init__(name, number, work)
        self.programs, self.oci = Path(programs), oci

    def version(self):
        first = []
        for program in (self.programs / "containerd", self.oci):
            text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
            first.append(text.splitlines()[0])
        return ", ".join(first)

    def environment(self):
        return {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def command(self):
        (self.dir / "cni").mkdir()
        (self.dir / "cni/10-bench.conflist").write_text(json.dumps(cni_config(self.mark, self.number, self.dir)))
        template = CONFIG_16 if " 1.6" in self.version() else CONFIG_2
        text = template.format(dir=self.dir, run=self.run, socket=self.socket, pause=PAUSE, oci=self.oci, registries=self.registries,
                               cni_programs=CNI_PROGRAMS)
        (self.dir / "config.toml").write_text(text)
        return [self.programs / "containerd", "--config", self.dir / "config.toml"]
