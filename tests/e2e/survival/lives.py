# SPDX-License-Identifier: Apache-2.0
"""Pods that know what they should be: made, used and removed by a client that never gives up, as a kubelet is."""
import json
import re
import threading
import time
from pathlib import Path

from crictl import BUSYBOX, CriError, Pod

PATIENCE_S = 90  # for one step, over any number of kills
RETRY_S = 0.03
SHORT_LINES = 300
LONG_CODE = 7
# How crictl tells that the daemon went away under it, or was not there; or that a slow disk kept a killed process in the
# kernel for long. A kubelet asks again in each case.
INTERRUPTED = re.compile(r"Unavailable|connection refused|no such file or directory\"|EOF|connection reset|"
                         r"validate service connection|error reading from server|transport|still has processes")

# The pod's shim, or its child that makes the namespaces, was killed while the pod was being made.
BORN_DEAD = re.compile(r"shim ended|the pod's shim|gridlet-init ended")

SHORT = 'i=0; while [ $i -lt {lines} ]; do echo short-$i; i=$((i+1)); done; exit {code}'
# Ten lines a turn; tells at its end how far it came.
LONG = ('trap "stop=1" TERM; i=0; while [ -z "$stop" ]; do for j in 0 1 2 3 4 5 6 7 8 9; do echo long-$i; i=$((i+1)); done; '
        'sleep 0.2; done; echo end-$i; exit 7')


class Wrong(AssertionError):
    """Something is not as it should be; the test ends with it."""


class ShimKilled(Exception):
    """The pod died because the test killed its shim."""


def check(true, text):
    if not true:
        raise Wrong(text)


class Client:
    """crictl that asks again while daemons are killed. killed: ids of pods whose shims the test killed, noted before."""

    def __init__(self, cri):
        self.cri = cri
        self.killed = set()
        self.over = threading.Event()  # somebody found something wrong

    def insist(self, *words, settled=None):
        """Output of a call that must succeed in the end. settled(text): a refusal that means it was done before."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.cri.call(*words).out
            except CriError as error:
                text = str(error)
            if settled and re.search(settled, text):
                return ""
            if not INTERRUPTED.search(text):
                raise CriError(text)
            check(time.monotonic() < deadline, f"no answer in {PATIENCE_S} s: {text}")
            check(not self.over.is_set(), "the test is over")
            time.sleep(RETRY_S)

    def pods(self):
        """id -> entry of the list."""
        return {entry["id"]: entry for entry in self.value("pods")["items"]}

    def containers(self):
        return {entry["id"]: entry for entry in self.value("ps", "-a")["containers"]}

    def value(self, *words):
        return json.loads(self.insist(words[0], "-o", "json", *words[1:]))


def log_problem(path, name, whole):
    """What is wrong with the numbered lines of a container's log, or None. whole: None when its shim was killed."""
    text = Path(path).read_text() if Path(path).exists() else ""
    lines = text.split("\n")
    if lines.pop() != "" and whole is not None:
        return f"{path}: the last line is cut: {text[-100:]!r}"
    for number, line in enumerate(lines):
        match = re.fullmatch(r"\S+Z stdout F (\w+)-(\d+)", line)
        if not match:
            return f"{path}:{number + 1}: {line!r}"
        if match[1] == "end":
            return None if number == int(match[2]) == len(lines) - 1 else f"{path}:{number + 1}: {line} at line {number}"
        if (match[1], int(match[2])) != (name, number):
            return f"{path}:{number + 1}: {name}-{number} is missing or there twice: {line!r}"
    if whole is not None and len(lines) < whole:
        return f"{path}: {len(lines)} lines of {whole}"
    return None


class Life:
    """One pod with a container that ends by itself and one that runs until it is stopped."""

    def __init__(self, client, name, number, host_port=0):
        self.client, self.name, self.code = client, name, number % 200 + 1
        ports = [{"protocol": 0, "container_port": 80, "host_port": host_port}] if host_port else []
        self.host_port = str(host_port) if host_port else None
        self.config = client.cri.pod_config(name, port_mappings=ports)
        self.path = client.cri._write(name, self.config)
        self.pod, self.short, self.long = None, None, None

    # ---- steps ----

    def make(self):
        """The pod's id. A pod of the same name whose shim was killed is removed first."""
        while True:
            try:
                self.pod = Pod(self.client.insist("runp", self.path).strip(), self.config, self.path)
                return self.pod.id
            except CriError as error:
                stopped = re.search(r"exists, stopped,\s+as (\w+)", str(error))
                if stopped:
                    check(stopped[1] in self.client.killed, f"{self.name} is stopped and its shim was not killed: {error}")
                    self.client.insist("rmp", "-f", stopped[1], settled="not found")
                elif not BORN_DEAD.search(str(error)):
                    raise

    def container(self, name, script):
        config = {"metadata": {"name": name, "attempt": 0}, "image": {"image": BUSYBOX}, "log_path": f"{name}.log",
                  "command": ["sh", "-c", script], "linux": {"resources": {"memory_limit_in_bytes": 64 << 20}}}
        path = self.client.cri._write(f"{self.name}-{name}", config)
        made = self._step("create", "--no-pull", self.pod.id, path, self.path).strip()
        self._step("start", made, settled="was started already")
        return made

    def _step(self, *words, settled=None):
        """A step that may fail only because the pod's shim was killed."""
        try:
            return self.client.insist(*words, settled=settled)
        except CriError as error:
            if self.pod.id in self.client.killed:
                raise ShimKilled(str(error)) from None
            raise Wrong(f"{self.name} {self.pod.id[:12]}, whose shim was not killed: {error}") from None

    def fill(self):
        self.short = self.container("short", SHORT.format(lines=SHORT_LINES, code=self.code))
        self.long = self.container("long", LONG)
        deadline = time.monotonic() + PATIENCE_S
        while not (Path(self.log("long")).exists() and "long-9" in Path(self.log("long")).read_text()):
            if self.pod.id in self.client.killed:
                raise ShimKilled("before its first line")
            check(time.monotonic() < deadline, f"no line of long of {self.name} {self.long}: {self.status(self.long)}")
            time.sleep(0.02)

    def use(self):
        """Runs a command in it; asks again when the daemon is killed meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            done = self.client.cri.call("exec", "--sync", self.long, "echo", f"said-{self.name}", check=False)
            if done.code == 0:
                check(done.out.strip() == f"said-{self.name}", f"exec in {self.name}: {done}")
                return
            if self.pod.id in self.client.killed:
                raise ShimKilled(done.err)
            check(INTERRUPTED.search(done.err), f"exec in {self.name}: {done}")
        raise Wrong(f"exec in {self.name}: no answer")

    # ---- what must hold ----

    def log(self, name):
        return f"{self.config['log_directory']}/{name}.log"

    def status(self, container):
        return self.client.value("inspect", container)["status"]

    def check_short(self):
        """It has ended by itself, with its own code and every line, whoever was dead at that moment."""
        deadline = time.monotonic() + PATIENCE_S
        while (status := self.status(self.short))["state"] != "CONTAINER_EXITED":
            check(time.monotonic() < deadline, f"short of {self.name} does not end: {status}")
            time.sleep(0.1)
        if self.pod.id in self.client.killed:
            check(status["reason"], f"short of {self.name} ended without a reason")
            return
        check((status["exitCode"], status["reason"]) == (self.code, "Error"), f"short of {self.name}: {status}")
        problem = log_problem(self.log("short"), "short", SHORT_LINES)
        check(not problem, problem)

    def check_running(self, pods, containers):
        """As it is left at the end: READY and running, or dead with its shim and saying so."""
        check(self.pod.id in pods, f"{self.name} is not in the list of pods")
        if self.pod.id in self.client.killed:
            check(pods[self.pod.id]["state"] == "SANDBOX_NOTREADY", f"{self.name} has lost its shim and is READY")
            for container in filter(None, (self.short, self.long)):
                check(containers[container]["state"] in ("CONTAINER_EXITED", "CONTAINER_CREATED"),
                      f"{self.name} has lost its shim and container {containers[container]}")
                if containers[container]["state"] == "CONTAINER_EXITED":
                    check(self.status(container)["reason"], f"a container of {self.name} ended without a reason")
            return
        check(pods[self.pod.id]["state"] == "SANDBOX_READY", f"{self.name} {self.pod.id} is not READY, its shim was not killed")
        self.check_short()
        check(containers[self.long]["state"] == "CONTAINER_RUNNING", f"long of {self.name}: {containers[self.long]}")
        problem = log_problem(self.log("long"), "long", 0)
        check(not problem, problem)

    # ---- the end ----

    def end(self):
        """Stops and removes it step by step; what it leaves must be right."""
        if self.long:
            self.client.insist("stop", "--timeout", 60, self.long)
            if self.pod.id not in self.client.killed:
                status = self.status(self.long)
                check((status["exitCode"], status["reason"]) == (LONG_CODE, "Error"), f"long of {self.name}: {status}")
            self.client.insist("rm", "--keep-logs", self.long, settled="not found")
            killed = self.pod.id in self.client.killed
            problem = log_problem(self.log("long"), "long", None if killed else 1)
            check(not problem, problem)
            check(killed or "end-" in Path(self.log("long")).read_text()[-100:], f"long of {self.name} has no end in its log")
        self.remove()

    def remove(self):
        self.client.insist("stopp", self.pod.id)
        self.client.insist("rmp", "-f", self.pod.id, settled="not found")
        for name in ("short", "long"):
            Path(self.log(name)).unlink(missing_ok=True)
        self.pod = self.short = self.long = None
