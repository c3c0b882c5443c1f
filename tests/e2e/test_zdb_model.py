# SPDX-License-Identifier: Apache-2.0
"""gridlet-zdb against a small model: random commands in pipelines, restarts, kills, reloads, new files. The seed is
printed; GRIDLET_SEED repeats a run, and time is the only thing that ends one."""
import os
import random
import struct
import time

import pytest

from zdb import OK, Error, encode, make_fast  # noqa: F401

KEYS = 400
CI_S, LESS_S, SOAK_S = 25, 6, 600
SIZES = (0, 1, 10, 50, 100, 200, 1000, 5000)


class Model:
    """What a namespace answers."""

    def __init__(self, mode):
        self.mode, self.values, self.next_id = mode, {}, 0

    def set(self, key, value):
        if self.mode == "user":
            if not key:
                return Error("Invalid argument, key needed")
            if self.values.get(key) == value:
                return None
            self.values.pop(key, None)  # the newest is the last of a scan
            self.values[key] = value
            return key
        if not key:
            key = struct.pack("<Q", self.next_id)
            self.values[key] = value
            self.next_id += 1
            return key
        if key not in self.values:
            return Error("Invalid key, only update authorized")
        if self.values[key] == value:
            return None
        self.values[key] = value
        self.next_id += 1  # the version before gets a place of its own
        return key

    def delete(self, key):
        if key not in self.values:
            return Error("Key not found")
        del self.values[key]
        return OK

    def scan(self):
        return sorted(self.values, key=lambda key: struct.unpack("<Q", key)) if self.mode == "seq" else list(self.values)

    def answer(self, command):
        name, args = command[0], command[1:]
        if name == "SET":
            return self.set(*args)
        if name == "DEL":
            return self.delete(args[0])
        if name == "MGET":
            return [self.values.get(key) for key in args]
        value = self.values.get(args[0]) if args else None
        return {"GET": value, "EXISTS": int(value is not None), "LENGTH": None if value is None else len(value),
                "CHECK": None if value is None else 1, "DBSIZE": len(self.values), "NSJUMP": OK}[name]


class Run:
    def __init__(self, server, mode, seed):
        self.server, self.random, self.model, self.mode = server, random.Random(seed), Model(mode), mode
        self.operations = 0

    def key(self):
        if self.mode == "user":
            return b"key-%d" % self.random.randrange(KEYS)
        return struct.pack("<Q", self.random.randrange(self.model.next_id + 2))

    def value(self):
        size = self.random.choice(SIZES)
        if self.random.random() < 0.002:
            size = 300000  # a worker reads it
        if self.random.random() < 0.2:
            return b"same" * (size // 4)
        return self.random.randbytes(size)

    def command(self):
        kind = self.random.random()
        if kind < 0.4:
            new = self.mode == "seq" and self.random.random() < 0.5
            return ("SET", b"" if new else self.key(), self.value())
        if kind < 0.5:
            return ("DEL", self.key())
        if kind < 0.8:
            return ("GET", self.key())
        if kind < 0.997:
            return self.random.choice([("EXISTS", self.key()), ("LENGTH", self.key()), ("CHECK", self.key()), ("DBSIZE",),
                                       ("MGET", self.key(), self.key(), self.key())])
        return ("NSJUMP",)

    def batch(self, client):
        """A pipeline, and whether each reply is the model's."""
        commands = [self.command() for _ in range(self.random.randrange(1, 200))]
        client.send(b"".join(encode(*command) for command in commands))
        for command in commands:
            want, got = self.model.answer(command), client.reply()
            assert type(want) is type(got) and want == got, (command[:2], want, got)
        self.operations += len(commands)

    def walk(self, client, name):
        while True:
            found, reply = [], client(name)
            while isinstance(reply, list):
                found += [key for key, _, _ in reply[1]]
                reply = client(name, reply[0])
            if reply == Error("No more data"):
                return found
            # A compaction that runs beside this moved what the cursor names.
            assert self.mode == "user" and reply.startswith("Invalid key format: the cursor"), reply

    def scan(self, client):
        for name, want in (("SCAN", self.model.scan()), ("RSCAN", self.model.scan()[::-1])):
            assert self.walk(client, name) == want

    def whole(self, client):
        keys = list(self.model.values)
        for at in range(0, len(keys), 500):
            part = keys[at:at + 500]
            assert client.pipeline([("GET", key) for key in part]) == [self.model.values[key] for key in part]
        assert client("DBSIZE") == len(keys)
        self.scan(client)

    def killed(self, client):
        """A kill in the middle of a pipeline: a key has the value before, or one of those that were sent after the last
        acknowledged one."""
        commands = [command for command in (self.command() for _ in range(400)) if command[0] in ("SET", "DEL")]
        if self.mode == "seq":  # an unacknowledged new key may or may not have taken an id
            commands = [command for command in commands if command[1]]
        client.send(b"".join(encode(*command) for command in commands))
        acknowledged = self.random.randrange(len(commands))
        for command in commands[:acknowledged]:
            assert self.model.answer(command) == client.reply()
        self.server.kill()
        possible = {}
        later = Model(self.mode)
        later.values, later.next_id = dict(self.model.values), self.model.next_id
        for command in commands[acknowledged:]:
            key = command[1]
            possible.setdefault(key, [self.model.values.get(key)])
            later.answer(command)
            possible[key].append(later.values.get(key))
        self.server.start()
        with self.server.client() as after:
            for key, choices in possible.items():
                got = after("GET", key)
                assert got in choices, (key, got)
                if got is None:
                    self.model.values.pop(key, None)
                else:
                    self.model.values[key] = got
            self.reorder(after)

    def reorder(self, client):
        """After a kill the order of what was on its way is the server's; the set of keys is the model's."""
        found = self.walk(client, "SCAN")
        assert sorted(found) == sorted(self.model.values)
        if self.mode == "user":
            self.model.values = {key: self.model.values[key] for key in found}
        else:
            probe = client("SET", b"", b"probe")
            self.model.next_id = struct.unpack("<Q", probe)[0] + 1
            self.model.values[probe] = b"probe"

    def go(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.server.client() as client:
                for _ in range(self.random.randrange(1, 25)):
                    self.batch(client)
                what = self.random.random()
                if self.random.random() < 0.3:
                    client("COMPACT")  # goes on beside what follows, and may be killed with it
                if what < 0.25:
                    assert client("RELOAD", "default") == OK
                    self.whole(client)
                elif what < 0.5:
                    self.killed(client)
                elif what < 0.75:
                    assert self.server.stop() == 0
                    self.server.start()
                else:
                    self.whole(client)
        with self.server.client() as client:
            self.whole(client)


def run(make_server, mode, durability, seconds):
    seed = int(os.environ.get("GRIDLET_SEED", random.randrange(1 << 32)))
    print(f"GRIDLET_SEED={seed}")
    server = make_server("--mode", mode, "--datasize", "1M", "--durability", durability)
    with server:
        one = Run(server, mode, seed)
        one.go(seconds)
    print(f"{one.operations} operations")


@pytest.mark.parametrize("mode", ["user", "seq"])
def test_random_commands_restarts_and_kills_give_what_the_model_gives(make_fast, mode):
    run(make_fast, mode, "always", CI_S)


@pytest.mark.parametrize("mode, durability", [("user", "interval:300"), ("seq", "interval:300"), ("user", "never"), ("seq", "never")])
def test_a_kill_loses_nothing_whatever_the_durability(make_fast, mode, durability):
    """What the kernel has outlives the program: only power cuts tell the durabilities apart."""
    run(make_fast, mode, durability, LESS_S)


@pytest.mark.soak
@pytest.mark.parametrize("mode", ["user", "seq"])
def test_the_same_for_long(make_fast, mode):
    run(make_fast, mode, "always", SOAK_S)
