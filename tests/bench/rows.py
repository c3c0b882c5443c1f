# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark's table: each measures one runtime once and adds its samples to `samples[row]`."""
import json
import os
import subprocess
import time
from collections import defaultdict
from pathlib import Path

SMALL = "docker.io/library/busybox:latest"
BIG = "docker.io/bench/big200:v1"
# About 1 MB/s into the container's log, with little work of the container's own.
CHATTER = "head -c 100000 /dev/zero | tr '\\0' 'x' | fold -w 1000 >/tmp/f; while :; do cat /tmp/f; usleep 95000; done"
WORKLOAD = {"sh", "sleep", "cat", "head", "tr", "fold", "usleep", "busybox", "true"}
LIVES, CROWD, CROWD_WORKERS, EXECS, STATS, PODS, TALKERS = 5, 40, 10, 20, 10, 50, 2


def pss_kib(pid):
    """(PSS, RSS) of a process, or (0, 0) when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    fields = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
    return int(fields["Pss"]), int(fields["Rss"])


def comm(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


class Bench:
    """One runtime under measurement."""

    def __init__(self, runtime, driver, logs):
        self.runtime, self.driver, self.logs = runtime, driver, logs
        self.samples = defaultdict(list)

    def drive(self, verb, *options):
        """Runs the driver on the runtime's socket."""
        command = [self.driver, "-socket", self.runtime.socket, "-cgroup-parent", self.runtime.parent, "-logs", self.logs,
                   *map(str, options), verb]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{self.runtime.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def prepare(self):
        self.drive("wait")
        self.drive("pull", "-image", SMALL)
        self.drive("lives", "-n", 3)  # warm: caches, the bridge, the pause image

    def lives(self):
        before = self.runtime.cpu.used_ms()
        out = self.drive("lives", "-n", LIVES)
        self.samples["cpu_ms"].append((self.runtime.cpu.used_ms() - before) / LIVES)
        self.samples["start_ms"] += out["start_ms"]
        self.samples["whole_ms"] += out["whole_ms"]

    def idle(self):
        self.samples["idle_start_ms"] += self.drive("lives", "-n", LIVES, "-idle", "1s")["start_ms"]

    def crowd(self):
        self.samples["pods_per_s"].append(self.drive("crowd", "-n", CROWD, "-workers", CROWD_WORKERS)["pods_per_s"])

    def execs(self):
        pod = self.drive("make")["pods"][0]
        self.samples["exec_ms"] += self.drive("exec", "-target", pod["container"], "-n", EXECS)["exec_ms"]
        self.drive("clean")

    def pull(self):
        os.sync()
        before = self.runtime.cpu.used_ms()
        self.samples["pull_ms"].append(self.drive("pull", "-image", BIG)["pull_ms"])
        self.samples["pull_cpu_ms"].append(self.runtime.cpu.used_ms() - before)
        self.drive("rmi", "-image", BIG)
        time.sleep(0.5)  # whatever goes on behind the reply is not the next one's

    def _kernel_kib(self):
        """Kernel memory charged to the pods' cgroups."""
        v1 = Path("/sys/fs/cgroup/memory") / self.runtime.mark
        if not v1.is_dir():
            stat = Path("/sys/fs/cgroup", self.runtime.mark, "memory.stat").read_text()
            return int(dict(line.split() for line in stat.splitlines())["kernel"]) / 1024
        return int((v1 / "memory.kmem.usage_in_bytes").read_text()) / 1024

    def _support_kib(self):
        """PSS of the processes that are neither the daemon nor the containers' own."""
        pids = [p for p in self.runtime.cpu.pids() if p != self.runtime.process.pid and comm(p) not in WORKLOAD]
        return sum(pss_kib(p)[0] for p in pids)

    def memory_per_pod(self):
        daemon = pss_kib(self.runtime.process.pid)[0]
        kernel = self._kernel_kib()
        pods = self.drive("make", "-n", TALKERS, "-script", CHATTER)["pods"]
        for pod in pods:
            self.drive("exec", "-target", pod["container"], "-n", 100)
        time.sleep(2)
        grown = pss_kib(self.runtime.process.pid)[0] - daemon
        self.samples["pod_kib"].append(self._support_kib() / TALKERS)
        self.samples["pod_daemon_kib"].append(grown / TALKERS)
        self.samples["pod_kernel_kib"].append((self._kernel_kib() - kernel) / TALKERS)
        self.drive("clean")

    def fifty(self):
        self.drive("make", "-n", PODS, "-workers", 4)
        self.samples["stats_ms"] += self.drive("stats", "-n", STATS)["stats_ms"]
        self.samples["daemon_50_pss_kib"].append(pss_kib(self.runtime.process.pid)[0])
        self.samples["pods_50_pss_kib"].append(self._support_kib() / PODS)
        self.drive("clean", "-workers", 4)
        time.sleep(3)
        pss, rss = pss_kib(self.runtime.process.pid)
        self.samples["daemon_pss_kib"].append(pss)
        self.samples["daemon_rss_kib"].append(rss)
