# SPDX-License-Identifier: Apache-2.0
"""Kills a daemon as it enters the n-th system call that changes something, during one pod's whole life."""
import signal
import subprocess
import threading
import time
from pathlib import Path

from survival.inventory import compare_all
from survival.lives import Life, check

# What changes the world outside of the daemon's memory: records, folders, groups, sockets, processes, messages to shims.
STEPS = "mkdirat,renameat,renameat2,unlinkat,fsync,fdatasync,bind,clone3,vfork,clone,sendmsg,linkat,symlinkat,shutdown"
STEPS_MAX = 400
HOST_PORT = 19999


class Strace:
    """Kills the daemon with SIGKILL as it enters the `when`th call of STEPS in any one thread; 0: never, it counts."""

    def __init__(self, node, when, log):
        self.log = Path(log)
        self.log.write_text("")
        inject = ["-e", f"inject={STEPS}:signal=KILL:when={when}"] if when else []
        # The threads one by one: -f would follow shims into containers, and kill there too.
        threads = [word for task in Path(f"/proc/{node.process.pid}/task").iterdir() for word in ("-p", task.name)]
        command = ["strace", "-q", "-e", f"trace={STEPS}", *inject, "-o", self.log, *threads]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_attached(node.process.pid)

    @staticmethod
    def traced(pid):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)

    def wait_attached(self, pid):
        deadline = time.monotonic() + 20
        while not self.traced(pid):
            check(time.monotonic() < deadline and self.process.poll() is None, "strace did not attach")
            time.sleep(0.005)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def whole_life(life):
    """Every call that a pod sees from its making to its end, once, by a client that asks again."""
    life.make()
    life.fill()
    life.use()
    life.check_short()
    life.end()


class Restarter(threading.Thread):
    """Starts a daemon whenever there is none."""

    def __init__(self, node):
        super().__init__()
        self.node, self.over, self.deaths = node, threading.Event(), 0

    def run(self):
        last = False
        while not last:
            last = self.over.is_set()
            if self.node.process.poll() is not None:
                self.deaths += 1
                self.node.kill()
                self.node.start()
            time.sleep(0.005)


def steps_of_a_life(node, client, log):
    """How many of STEPS the busiest thread takes."""
    tracer = Strace(node, 0, log)
    whole_life(Life(client, "counted", 1, HOST_PORT))
    tracer.end()
    counts = {}
    for line in log.read_text().split("\n"):
        if "(" in line:
            counts[line.split()[0]] = counts.get(line.split()[0], 0) + 1
    return min(max(counts.values()), STEPS_MAX)


def kill_at(node, client, when, log):
    tracer = Strace(node, when, log)
    restarter = Restarter(node)
    restarter.start()
    try:
        whole_life(Life(client, f"step{when}", when, HOST_PORT))
    finally:
        tracer.end()
        restarter.over.set()
        restarter.join()
    compare_all(node, client)
    return restarter.deaths
