# SPDX-License-Identifier: Apache-2.0
"""gridlet in a stock Debian 12, installed and run as docs/run.md says: `cmake --install`, the systemd unit, the CLI; and
crictl beside it."""
import json
import os
import re
import shlex
import subprocess
import time
from pathlib import Path

from crictl import CALL_S_MAX, CriError, Crictl, Result
from node import mirror_everything
from vm import VM, CommandFailed

SOCKET = "unix:///run/gridlet/cri.sock"
HOST = "10.0.2.2"  # this machine's loopback, seen from the guest
CALL_S = 120
# What pods leave while they live, of each kind; a name per line.
TRACES = """
find /sys/fs/cgroup/gridlet -mindepth 1 -type d
awk '$5 ~ "^/(var/lib|run)/gridlet/" {print "mount", $5}' /proc/self/mountinfo
ip -o link show master gridlet0 | awk '{print "link", $2}'
nft list table inet gridlet | grep 'elements = ' | sed 's/^/nft/'
for pid in $(pidof gridlet-shim gridlet-init gridlet-unpack); do echo "process $pid"; done
for dir in /var/lib/gridlet/pods /var/lib/gridlet/containers /var/lib/gridlet/network/pods /run/gridlet/pods /run/gridlet/containers; do
    [ ! -d $dir ] || find $dir -mindepth 1 -maxdepth 1 ! -name corrupt
done
"""


def install(build, root):
    """The release build as its install rules lay it out, below a folder."""
    command = ["cmake", "--install", build, "--prefix", "/usr"]
    subprocess.run(command, env={**os.environ, "DESTDIR": str(root)}, check=True, stdout=subprocess.DEVNULL)


class Guest:
    """scratch: an empty folder. registry: what serves the images, on this machine. cri_tools: folder with crictl, critest."""

    def __init__(self, build, registry, cri_tools, scratch):
        install(build, scratch)
        mirror_everything(Path(scratch, "etc/gridlet/certs.d"), f"{HOST}:{registry.port}")
        self.vm = VM(payload={"": scratch, "tools": cri_tools})
        self.registry = f"{HOST}:{registry.port}"

    def __enter__(self):
        self.vm.start()
        self.vm.run("cp -a --no-preserve=ownership /payload/etc /payload/usr / && sync")
        self.run("systemctl --quiet daemon-reload && systemctl --quiet enable gridlet && systemctl start gridlet")
        return self

    def __exit__(self, *_):
        self.vm.close()

    def run(self, script, check=True, timeout_s=CALL_S):
        """A shell script's Result. When it fails, the error has the end of the daemon's log."""
        done = self.vm.run(script, timeout_s=timeout_s, check=False)
        if check and done.status != 0:
            done.stderr += self.vm.run("journalctl -u gridlet -n 30 -o cat; dmesg | tail", check=False).stdout
            raise CommandFailed(script, done)
        return done

    def out(self, script):
        return self.run(script).stdout.strip()

    def gridlet(self, *words, check=True):
        return self.run("gridlet " + shlex.join(words), check=check)

    def rows(self, *words):
        return json.loads(self.gridlet(*words, "-o", "json").stdout)

    def wait(self, condition, seconds=60):
        """Until a shell command succeeds."""
        self.run(f"timeout {seconds} sh -c {shlex.quote(f'until {condition}; do sleep 0.2; done')}", timeout_s=seconds + 10)

    def critest(self, focus, timeout_s):
        """Runs these specs: (passed, failed, all it printed). critest loads AppArmor profiles by sudo, which is not there."""
        self.vm.put("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
        words = ["/payload/tools/critest", "--runtime-endpoint", SOCKET, "--image-endpoint", SOCKET, f"--ginkgo.focus={focus}"]
        text = self.run(shlex.join([*words, "--ginkgo.no-color"]), check=False, timeout_s=timeout_s).stdout
        found = re.search(r"(\d+) Passed \| (\d+) Failed", text)
        return (int(found.group(1)), int(found.group(2)), text) if found else (0, 0, text)

    # ---- the service ----

    def daemon(self):
        """The daemon's process."""
        return int(self.out("systemctl show -P MainPID gridlet"))

    def wait_service(self, other_than=0):
        """Until systemd has another daemon up."""
        self.wait(f"test $(systemctl show -P MainPID gridlet) != {other_than} && systemctl is-active --quiet gridlet")
        return self.daemon()

    def power_cut(self):
        self.vm.power_cut()
        self.vm.start()
        self.wait_service()

    # ---- what is there ----

    def pid(self, name):
        """The first process of the container; 0 when there is none."""
        files = self.out(f"cat {self.cgroup(name)}/cgroup.procs 2>/dev/null || true").split()
        return int(files[0]) if files else 0

    def cgroup(self, container):
        """The container's folder in the cgroup file system. container: its name or id."""
        full = container if len(container) == 64 else self.rows("inspect", container)["id"]
        return self.out(f"find /sys/fs/cgroup/gridlet -name {full}")

    def traces(self):
        """What pods have on this machine. The kernel takes links away later than the namespace's last user."""
        return self.out(TRACES).split("\n")

    def wait_no_traces(self, seconds=30):
        deadline = time.monotonic() + seconds
        while any(found := self.traces()):
            assert time.monotonic() < deadline, found
        return []


class GuestCrictl(Crictl):
    """crictl, run in the guest."""

    def __init__(self, guest):
        self.guest, self.program, self.folder = guest, "/payload/tools/crictl", Path("/root/crictl")
        self.config = self.folder / "crictl.yaml"
        guest.vm.put(str(self.config), f"runtime-endpoint: {SOCKET}\nimage-endpoint: {SOCKET}\ntimeout: {CALL_S_MAX}\n")

    def call(self, *words, check=True, timeout=CALL_S_MAX + 30):
        command = shlex.join(map(str, [self.program, "--config", self.config, *words]))
        done = self.guest.run(command, check=False, timeout_s=timeout)
        if check and done.status != 0:
            raise CriError(f"{command}: {done.stderr.strip()}")
        return Result(done.status, done.stdout, done.stderr)

    def _write(self, name, config):
        path = self.folder / f"{name}.json"
        self.guest.vm.put(str(path), json.dumps(config))
        return path
