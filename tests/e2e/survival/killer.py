# SPDX-License-Identifier: Apache-2.0
"""Kills daemons, shims and unpackers at random moments, from one seed, and counts."""
import os
import random
import signal
import threading
import time

from survival.inventory import children, shims

LOOK_S = 0.005
UNPACKER_WAIT_S = 1.5
PAUSE_S_MAX = 0.3


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


class Killer(threading.Thread):
    """Nobody else starts or stops the node's daemon while it runs. wanted: how many of each kind."""

    def __init__(self, node, client, seed, wanted):
        super().__init__(name="killer")
        self.node, self.client, self.random, self.wanted = node, client, random.Random(seed), dict(wanted)
        self.done = {kind: 0 for kind in wanted}
        self.error = None

    def run(self):
        try:
            while any(self.done[kind] < self.wanted[kind] for kind in self.wanted) and not self.client.over.is_set():
                kinds = [kind for kind in self.wanted if self.done[kind] < self.wanted[kind]]
                weights = [self.wanted[kind] - self.done[kind] for kind in kinds]
                time.sleep(self.random.random() * PAUSE_S_MAX)
                kind = self.random.choices(kinds, weights)[0]
                self.done[kind] += getattr(self, f"kill_{kind}")()
        except BaseException as error:  # told by the test
            self.error = error
            self.client.over.set()

    def kill_daemon(self):
        self.node.kill()
        self.node.start()
        return 1

    def kill_shim(self):
        """Of a pod that is being made as likely as of one that runs."""
        found = shims(self.node)
        if not found:
            return 0
        pod = self.random.choice(sorted(found))
        self.client.killed.add(pod)
        return kill(found[pod])

    def kill_unpacker(self):
        deadline = time.monotonic() + UNPACKER_WAIT_S
        while time.monotonic() < deadline:
            found = children(self.node.process.pid, "gridlet-unpack")
            if found:
                return kill(self.random.choice(found))
            time.sleep(LOOK_S)
        return 0
