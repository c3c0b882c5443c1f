#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stock Debian 12 in qemu (TCG, so it runs anywhere, about 16 times slower), for tests that need its kernel, cgroup v2 alone,
systemd, AppArmor, every capability, or a power cut.

    with VM(payload={"usr/local/bin/gridletd": "build/release/bin/gridletd"}) as vm:
        vm.run("cp -a /payload/. /")
        print(vm.run("uname -r").stdout)
        vm.power_cut()
        vm.start()                        boots the same disk: what was synced is there

The first start does not boot: it resumes a machine that was booted once and saved. Commands travel over a virtio serial port,
apart from the kernel's console. `vm.py` tests itself and tells the timings.
"""
import argparse
import base64
import ctypes
import fcntl
import hashlib
import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BOOT_S_MAX = 180
ANSWER_GRACE_S = 20
MEMORY_MB = 1024
CPUS = 2
# The same for every machine, because a saved one remembers it; sparse.
PAYLOAD_BYTES = 4 << 30

KERNEL_ARGUMENTS = "console=ttyS0 loglevel=4 systemd.show_status=0 panic=-1 mitigations=off net.ifnames=0 nokaslr"

# A resumed machine has the time and the payload's blocks of when it was saved.
AFTER_START = """
date -s @{now:.2f} >/dev/null
blockdev --flushbufs /dev/vdb
mount -o ro /dev/vdb /payload
"""


class VMError(Exception):
    """The machine did not do what it must: its console is in the message."""


@dataclass
class Result:
    """What a command in the guest did. status 124: it ran into its timeout there."""

    status: int
    stdout: str
    stderr: str
    seconds: float


class CommandFailed(Exception):
    def __init__(self, command, result):
        super().__init__(f"{command!r} gave {result.status}\n{result.stdout}\n{result.stderr}")
        self.result = result


def base_folder():
    """The folder with kernel, initrd and base disk: made on first use."""
    made = subprocess.run([HERE / "mkvm.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.splitlines()[-1])


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def die_with_parent():
    """So that a killed test run leaves no qemu behind. The thread that starts a VM must live as long as the VM."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def make_payload(files, image):
    """An ext4 image of {path in the image: file or folder on the host, or bytes}."""
    with tempfile.TemporaryDirectory(prefix="payload-") as scratch:
        root = Path(scratch)
        for name, source in files.items():
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, bytes):
                target.write_bytes(source)
            elif Path(source).is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)
        with open(image, "wb") as output:
            output.truncate(PAYLOAD_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", root, image], check=True)


class VM:
    """payload: files that are at /payload in the guest (see make_payload). folder: where its disk lives; a temporary one,
    removed by close(), when not given. In the guest, 10.0.2.2 is this machine's loopback. With other than the default memory,
    processors or kernel arguments the first start boots too."""

    def __init__(self, payload=None, folder=None, memory_mb=MEMORY_MB, cpus=CPUS, kernel_arguments=""):
        self.base = base_folder()
        self.scratch = None if folder else tempfile.TemporaryDirectory(prefix="vm-")
        self.folder = Path(folder or self.scratch.name)
        self.memory_mb = memory_mb
        self.cpus = cpus
        self.kernel_arguments = f"{KERNEL_ARGUMENTS} {kernel_arguments}".strip()
        self.saved = None
        self.disk = self.folder / "disk.qcow2"
        self.console_log = self.folder / "console.log"
        self.payload = self.folder / "payload.img"
        self.process = None
        self.channel = None
        self.lines = None
        self.last_id = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        make_payload(payload or {}, self.payload)
        if not self.disk.exists():
            if (memory_mb, cpus, kernel_arguments) == (MEMORY_MB, CPUS, ""):
                self.saved = saved_machine(self.base)
            self._make_disk()

    def _make_disk(self):
        if self.saved:
            backing = ["-b", self.saved / "disk.qcow2", "-F", "qcow2"]
        else:
            backing = ["-b", self.base / "root.img", "-F", "raw"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, self.disk], check=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def command(self):
        """The qemu command line."""
        drive = "if=virtio,format={},file={},{}"
        socket_of = "socket,id={0},path={1}/{0},server=on,wait=off"
        command = ["qemu-system-x86_64", "-M", "q35,accel=tcg,hpet=off", "-cpu", "max", "-smp", self.cpus]
        command += ["-m", self.memory_mb, "-nodefaults", "-display", "none", "-no-reboot"]
        command += ["-kernel", self.base / "vmlinuz", "-initrd", self.base / "initrd.gz", "-append", self.kernel_arguments]
        command += ["-serial", f"file:{self.console_log}"]
        # Flushes of the guest are honoured, so what it synced survives power_cut(), and what it did not may be lost.
        command += ["-drive", drive.format("qcow2", self.disk, "cache=writeback")]
        command += ["-drive", drive.format("raw", self.payload, "readonly=on")]
        command += ["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=gridlet"]
        command += ["-chardev", socket_of.format("agent", self.folder)]
        command += ["-chardev", socket_of.format("monitor", self.folder), "-mon", "chardev=monitor,mode=control"]
        command += ["-device", "virtio-rng-pci", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"]
        return [str(word) for word in command]

    def start(self, timeout_s=BOOT_S_MAX):
        """Boots (or resumes, the first time), and returns when the guest takes commands."""
        assert self.process is None, "it runs already"
        deadline = time.monotonic() + timeout_s
        resume, self.saved = self.saved, None
        incoming = ["-incoming", f"exec:cat {shlex.quote(str(resume / 'state'))}"] if resume else []
        for name in ("console.log", "agent", "monitor"):
            (self.folder / name).unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command() + incoming, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        try:
            self._connect(deadline)
            if not resume:
                self._answer("ready", deadline)
            self.run(AFTER_START.format(now=time.time()), timeout_s=timeout_s)
        except Exception:
            self.power_cut()
            raise
        return self

    def _connect(self, deadline):
        self.channel = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.channel.connect(str(self.folder / "agent"))
                break
            except OSError:
                self._must_run(deadline)
                time.sleep(0.02)
        self.lines = self.channel.makefile("rb")

    def _must_run(self, deadline):
        if self.process.poll() is not None:
            log = (self.folder / "qemu.log").read_text(errors="replace")[-2000:]
            raise VMError(f"qemu ended with {self.process.returncode}\n{log}\n{self.console()[-4000:]}")
        if time.monotonic() > deadline:
            raise VMError(f"the guest does not answer in time\n{self.console()[-4000:]}")

    def _answer(self, first_word, deadline):
        """The words of the guest's next line, which must start with this one."""
        self.channel.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            words = self.lines.readline().decode().split()
        except TimeoutError as error:
            raise VMError(f"the guest does not answer in time\n{self.console()[-4000:]}") from error
        if not words:
            self.process.wait(ANSWER_GRACE_S)
            self._must_run(deadline)
        if words[0] != first_word:
            raise VMError(f"expected {first_word}, the guest said {' '.join(words)[:200]}")
        return words

    def _send(self, line, data=b""):
        self.last_id += 1
        self.channel.sendall(line.format(id=self.last_id).encode() + b"\n" + data)

    def _ask(self, line, timeout_s, data=b""):
        self.channel.settimeout(timeout_s)
        self._send(line, data)
        return self._answer(str(self.last_id), time.monotonic() + timeout_s)

    def run(self, command, timeout_s=120, check=True):
        """Runs a shell script as root. Raises CommandFailed when it fails, unless check is False."""
        began = time.monotonic()
        words = self._ask(f"run {{id}} {timeout_s} {encoded(command)}", timeout_s + ANSWER_GRACE_S)
        out, err = ("" if word == "-" else base64.b64decode(word).decode(errors="replace") for word in words[2:4])
        result = Result(int(words[1]), out, err, time.monotonic() - began)
        if check and result.status != 0:
            raise CommandFailed(command, result)
        return result

    def put(self, path, data, mode=0o644):
        """Writes a file in the guest, by rename. For more than a few MB use a payload."""
        data = data.encode() if isinstance(data, str) else data
        words = self._ask(f"put {{id}} {mode:o} {encoded(path)} {len(data)}", 60 + len(data) / 100_000, data)
        if words[1] != "0":
            raise VMError(f"put {path}: {words[1]}")

    def get(self, path):
        """The bytes of a file in the guest."""
        return base64.b64decode(self.run(f"base64 -w 0 {shlex.quote(path)}").stdout)

    def console(self):
        """What the kernel said since the last start."""
        return self.console_log.read_text(errors="replace") if self.console_log.exists() else ""

    def power_cut(self):
        """Ends the machine as if its power failed. start() boots it again from the same disk."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.channel:
            if self.lines:
                self.lines.close()
            self.channel.close()
            self.channel = self.lines = None

    def shutdown(self, timeout_s=90):
        """Powers off in good order; start() boots it again."""
        self._send(f"run {{id}} 30 {encoded('systemctl --no-block poweroff')}")
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise VMError(f"the guest does not power off\n{self.console()[-4000:]}") from error
        finally:
            self.power_cut()

    def close(self):
        """Cuts the power and removes a temporary disk."""
        self.power_cut()
        if self.scratch:
            self.scratch.cleanup()


class Monitor:
    """qemu's control socket (QMP), for one caller."""

    def __init__(self, vm):
        self.channel = socket.socket(socket.AF_UNIX)
        self.channel.connect(str(vm.folder / "monitor"))
        self.channel.settimeout(60)
        self.lines = self.channel.makefile("rb")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise VMError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def save(self, path):
        """Writes the machine's memory and devices to a file and ends it in good order, so that the disk is whole too."""
        self.ask("migrate", uri=f"exec:cat >{shlex.quote(str(path))}")
        while (status := self.ask("query-migrate").get("status")) != "completed":
            if status == "failed":
                raise VMError("qemu cannot save the machine")
            time.sleep(0.05)
        self.ask("quit")


def saved_machine(base):
    """The folder with disk and state of a machine that was booted and saved: made on first use. It fits only the qemu that
    wrote it."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, check=True).stdout
    key = hashlib.sha256(version + Path(__file__).read_bytes()).hexdigest()[:12]
    folder = base / f"saved-{key}"
    with (base / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "state").exists():
            print("vm: booting once, to save the machine", file=sys.stderr)
            save_machine(folder)
    return folder


def save_machine(folder):
    vm = VM(folder=folder, kernel_arguments=" ")
    try:
        vm.start()
        vm.run("systemctl is-system-running --wait; umount /payload; sync; echo 3 >/proc/sys/vm/drop_caches")
        Monitor(vm).save(folder / "state.new")
        vm.process.wait(ANSWER_GRACE_S)
    finally:
        vm.close()
    (folder / "state.new").rename(folder / "state")


def self_test(options):
    began = time.monotonic()

    def tell(text):
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    with VM(payload={"hello": b"from the host\n"}) as vm:
        tell("the guest takes commands")
        for command in options.command or SELF_TEST:
            result = vm.run(command, check=False)
            tell(f"{command} -> {result.status} {(result.stdout + result.stderr).strip()}")
            if result.status != 0:
                return 1
        vm.put("/root/synced", "kept")
        vm.run("sync; echo lost >/root/unsynced")
        vm.power_cut()
        tell("power cut")
        vm.start()
        tell(f"booted again; /root/synced: {vm.get('/root/synced').decode()}")
        vm.shutdown()
        tell("powered off")
    return 0


SELF_TEST = (
    "uname -r",
    "stat -fc %T /sys/fs/cgroup",
    "cat /sys/fs/cgroup/cgroup.controllers",
    "cat /payload/hello",
    "cat /sys/module/apparmor/parameters/enabled",
    "systemctl is-system-running --wait",
    "modprobe -a overlay veth bridge br_netfilter nf_tables nft_chain_nat nft_masq nft_fib_inet nft_ct nft_nat nft_redir "
    "nft_hash nft_numgen nft_limit nft_reject_inet nf_conntrack_netlink nfnetlink_queue nfnetlink_log vxlan wireguard tun "
    "loop xfs fuse erofs",
    "nft 'add table inet t; add chain inet t c { type nat hook postrouting priority srcnat; }; add rule inet t c masquerade' "
    "&& nft list ruleset | grep -c masquerade && nft delete table inet t",
    "mkdir -p /tmp/o/l /tmp/o/u /tmp/o/w /tmp/o/m && mount -t overlay o -o lowerdir=/tmp/o/l,upperdir=/tmp/o/u,workdir=/tmp/o/w "
    "/tmp/o/m && umount /tmp/o/m",
    "ip -br address show eth0",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="*", help="commands to run in the guest instead of the self-test's own")
    sys.exit(self_test(parser.parse_args()))


if __name__ == "__main__":
    main()
