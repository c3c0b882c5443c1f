# SPDX-License-Identifier: Apache-2.0
"""gridlet-zdb as a whole: 0-db's transcripts, Debian's clients, rights, limits, bad input, kills."""
import hashlib
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from zdb import OK, Closed, Error, Simple, client, encode, make, server, until  # noqa: F401

TOP = Path(__file__).resolve().parents[2]
PAYLOAD_BYTES_MAX = 8 << 20

# ---- the transcripts ----

def recorded(reply):
    """A reply of transcript.json as Client gives it."""
    if isinstance(reply, list):
        return [recorded(part) for part in reply]
    if isinstance(reply, dict):
        kind, text = next(iter(reply.items()))
        return {"bulk": bytes.fromhex, "simple": Simple, "error": Error}[kind](text)
    return reply


class Cursors:
    """0-db's cursors and ours by the order in which they came."""

    def __init__(self):
        self.ours = {}

    def same(self, command, want, got):
        name = command[0].decode()
        if name in ("SCAN", "RSCAN") and isinstance(want, list):
            self.ours[want[0]] = got[0]
            return [key[:2] for key in want[1]] == [key[:2] for key in got[1]] and len(got[0]) == 17
        if name == "HISTORY" and isinstance(want, list):
            self.ours[want[0]] = got[0]
            return want[2] == got[2] and (want[0] is None) == (got[0] is None)
        if name == "NSINFO":
            return self.same_info(want.decode(), got.decode())
        return type(want) is type(got) and want == got

    @staticmethod
    def same_info(want, got):
        of_run = ("freespace", "path", "active", "index_size")
        lines = [line for line in want.split("\n") if not any(word in line for word in of_run)]
        ours = [line for line in got.split("\n") if not any(word in line for word in of_run)]
        return ours[:len(lines) - 1] == lines[:-1]


@pytest.mark.parametrize("mode", ["user", "seq", "mixed"])
def test_the_transcript_of_0_db_gives_the_same_replies(make, mode):
    transcript = json.loads((TOP / "tests/zdb-vectors/transcript.json").read_text())[mode]
    options = [] if mode == "mixed" else ["--mode", mode]
    cursors = Cursors()
    with make(*options) as server, server.client() as client:
        for step in transcript:
            command = [bytes.fromhex(word) for word in step["cmd"]]
            sent = [cursors.ours.get(word, word) if at == len(command) - 1 else word for at, word in enumerate(command)]
            want, got = recorded(step["reply"]), client(*sent)
            assert cursors.same(command, want, got), (command, want, got)


@pytest.mark.parametrize("mode", ["user", "seq"])
def test_a_folder_of_0_db_is_served_as_recorded(make, mode, tmp_path):
    server = make()
    for part in ("data", "index"):
        subprocess.run(["cp", "-r", TOP / "tests/zdb-vectors" / mode / part, server.base / part], check=True)
    transcript = json.loads((TOP / "tests/zdb-vectors/transcript.json").read_text())[mode]
    tail = list(itertools.takewhile(lambda step: step["cmd"][0] not in (b"SET".hex(), b"DEL".hex()), reversed(transcript)))
    cursors = Cursors()
    with server, server.client() as client:
        for step in reversed(tail):
            command = [bytes.fromhex(word) for word in step["cmd"]]
            sent = [cursors.ours.get(word, word) if at == len(command) - 1 else word for at, word in enumerate(command)]
            assert cursors.same(command, recorded(step["reply"]), client(*sent)), command


# ---- Debian's clients ----

def test_redis_cli_and_redis_benchmark_work_unmodified(make):
    with make("--port", "0") as server:
        cli = ["redis-cli", "-p", str(server.port())]
        assert subprocess.run([*cli, "SET", "key", "value"], capture_output=True, text=True, check=True).stdout == "key\n"
        assert subprocess.run([*cli, "GET", "key"], capture_output=True, text=True, check=True).stdout == "value\n"
        assert "server_name: 0-db" in subprocess.run([*cli, "INFO"], capture_output=True, text=True, check=True).stdout
        for words in (["-t", "set,get", "-d", "64"], ["-P", "16", "-t", "set,get", "-d", "64"], ["-t", "ping_mbulk"]):
            command = ["redis-benchmark", "-p", str(server.port()), "-n", "2000", "-r", "1000", "-q", *words]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
            assert "requests per second" in done.stdout
            assert "rror" not in done.stdout.replace("ERROR: failed to fetch CONFIG", ""), done.stdout


HIREDIS = r"""
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    redisContext *c = argc == 2 ? redisConnectUnix(argv[1]) : NULL;
    if (!c || c->err) return 1;
    for (int i = 0; i < 1000; i++) redisAppendCommand(c, "SET k%d %b", i, "a\0b", (size_t)3);
    for (int i = 0; i < 1000; i++) {
        redisReply *r = NULL;
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        if (redisGetReply(c, (void **)&r) != REDIS_OK || r->type != REDIS_REPLY_STRING || strcmp(r->str, key)) return 2;
        freeReplyObject(r);
    }
    redisReply *r = redisCommand(c, "GET k7");
    if (!r || r->type != REDIS_REPLY_STRING || r->len != 3 || memcmp(r->str, "a\0b", 3)) return 3;
    freeReplyObject(r);
    r = redisCommand(c, "SCAN");
    if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->len != 17) return 4;
    freeReplyObject(r);
    r = redisCommand(c, "GET nothing");
    if (!r || r->type != REDIS_REPLY_NIL) return 5;
    freeReplyObject(r);
    redisFree(c);
    return 0;
}
"""


def test_a_hiredis_program_works_unmodified(server, tmp_path):
    (tmp_path / "h.c").write_text(HIREDIS)
    subprocess.run(["cc", "-o", tmp_path / "h", tmp_path / "h.c", "-lhiredis"], check=True)
    assert subprocess.run([tmp_path / "h", server.socket], timeout=60).returncode == 0


# ---- who may do what ----

def answer(challenge, password):
    return hashlib.sha1(f"{challenge}:{password}".encode()).hexdigest()


def test_the_admin_password_opens_what_is_for_admins(make):
    with make("--admin", "secret") as server, server.client() as client:
        for command in (["NSNEW", "n"], ["NSSET", "default", "lock", "1"], ["NSJUMP"], ["HOOKS"], ["MIRROR"], ["MASTER"],
                        ["INDEX", "DIRTY"], ["DATA", "RAW", "0", "28"], ["RELOAD", "default"], ["NSDEL", "n"],
                        ["SET", "k", "v", "123"], ["DEL", "k", "123"]):
            assert client(*command) == Error("Permission denied"), command
        assert client("AUTH", "wrong") == Error("Access denied")
        assert client("AUTH", "SECURE", answer("", "secret")) == \
            Error("No CHALLENGE requested, secure authentication not available")
        challenge = client("AUTH", "SECURE", "CHALLENGE")
        assert re.fullmatch("[0-9a-f]{16}", challenge)
        assert client("AUTH", "SECURE", answer(challenge, "wrong")) == Error("Access denied")
        assert client("AUTH", "SECURE", answer(challenge, "secret")) == \
            Error("No CHALLENGE requested, secure authentication not available")  # once only
        challenge = client("AUTH", "SECURE", "CHALLENGE")
        assert client("AUTH", "SECURE", answer(challenge, "secret")) == OK
        assert client("NSNEW", "n") == OK
        assert "data_path" in client.info("n")
    with server, server.client() as client:
        assert "data_path" not in client.info("n")
        assert client("AUTH", "secret") == OK
        assert client("SET", "k", "v", "123") == b"k"
        assert client("KEYTIME", "k") == 123


def test_without_a_password_authentication_is_disabled(client):
    assert client("AUTH", "x") == Error("Authentication disabled")
    assert client("NSNEW", "n") == OK


def test_namespaces_are_opened_by_password_or_for_reading(make):
    with make("--admin", "root") as server, server.client() as admin, server.client() as client:
        assert admin("AUTH", "root") == OK
        assert admin("NSNEW", "n") == OK
        assert admin("NSSET", "n", "password", "pw") == OK
        assert client("SELECT", "n") == OK
        assert client("SET", "k", "v") == Error("Namespace is in read-only mode")
        assert client("DEL", "k") == Error("Namespace is in read-only mode")
        assert client("SELECT", "n", "no") == Error("Access denied")
        assert client("SELECT", "n", "pw") == OK
        assert client("SET", "k", "v") == b"k"
        assert admin("NSSET", "n", "public", "0") == OK
        assert client("SELECT", "n") == Error("Namespace protected and private")
        challenge = client("AUTH", "SECURE", "CHALLENGE")
        assert client("SELECT", "n", "SECURE", answer(challenge, "no")) == Error("Access denied")
        assert client("SELECT", "n", "SECURE", answer(challenge, "pw")) == OK
        assert client("SELECT", "missing") == Error("Namespace not found")
        assert client("SELECT", "n", "SECURE", "x", "y") == Error("Too many arguments")
        assert client("FLUSH") == OK
        assert client("DBSIZE") == 0
        assert admin("NSSET", "n", "password", "*") == OK
        assert client("SELECT", "n") == OK
        assert client("SET", "k", "v") == b"k"
        assert client("FLUSH") == Error("Flushing public namespace denied")


def test_protect_gives_default_the_admins_password(make):
    with make("--admin", "root", "--protect") as server, server.client() as client:
        assert client("SET", "k", "v") == Error("Namespace is in read-only mode")
        assert client("SELECT", "default", "root") == OK
        assert client("SET", "k", "v") == b"k"
    failed = make("--protect")
    with pytest.raises(RuntimeError):
        failed.start()
    assert "--admin PASSWORD" in failed.log()


def test_namespaces_are_made_listed_and_removed(server, client):
    assert client("NSNEW", "b") == client("NSNEW", "a") == OK
    assert client("NSNEW", "a") == Error("This namespace is not available")
    for name in ("default", ".", "..", ".x", "a/b", b"a\0b"):
        assert client("NSNEW", name) == Error("This name is not allowed")
    assert client("NSNEW", "x" * 129) == Error("Namespace too long")
    assert client("NSNEW", "x" * 128) == OK
    assert client("NSLIST") == [b"default", b"b", b"a", b"x" * 128]
    assert client("NSDEL", "default") == Error("Cannot remove default namespace")
    assert client("NSDEL", "missing") == Error("This namespace doesn't exists")
    with server.client() as other:
        assert other("SELECT", "a") == OK
        assert other("NSDEL", "a") == Error("Cannot remove namespace you're currently using.")
        assert other("SET", "k", "v") == b"k"
        assert client("NSDEL", "a") == OK
        assert other("GET", "k") == Error("Your active namespace is not available anymore (probably removed).")
        assert other.is_closed()
    assert not (server.base / "data/a").exists() and not (server.base / "index/a").exists()
    assert client("NSNEW", "a") == OK
    assert client("SELECT", "a") == OK
    assert client("GET", "k") is None


def test_settings_are_kept_and_what_is_temporary_is_not(make):
    server = make()
    with server, server.client() as client:
        assert client("NSNEW", "n") == OK
        for prop, value in (("maxsize", "1000"), ("password", "pw"), ("public", "0"), ("worm", "1"),
                            ("durability", "interval:50"), ("versions", "3"), ("lock", "1")):
            assert client("NSSET", "n", prop, value) == OK, prop
        for prop, value in (("maxsize", "x"), ("durability", "sometimes"), ("versions", "-1")):
            assert client("NSSET", "n", prop, value).startswith("Invalid property value"), prop
        assert client("NSSET", "n", "colour", "red") == Error("Invalid property")
        assert client("NSSET", "n", "password", "x" * 64) == Error("Argument too long")
        assert client("NSSET", "default", "maxsize", "1") == Error("Cannot update default namespace")
        assert client("NSSET", "default", "durability", "never") == OK
        assert client("NSSET", "missing", "worm", "1") == Error("Namespace not found")
    with server, server.client() as client:
        info = client.info("n")
        wanted = {"data_limits_bytes": "1000", "password": "yes", "public": "no", "worm": "yes", "locked": "no",
                  "durability": "interval:50", "versions": "3"}
        assert {key: info[key] for key in wanted} == wanted
        assert client.info("default")["durability"] == "never"
        assert client("SELECT", "n", "pw") == OK


def test_lock_freeze_worm_and_limit_hold(client):
    client("NSNEW", "n")
    client("SELECT", "n")
    assert client("SET", "k", "v") == b"k"
    client("NSSET", "n", "lock", "1")
    assert client("SET", "k", "w") == client("DEL", "k") == Error("Namespace is temporarily locked (read-only)")
    assert client("GET", "k") == b"v"
    client("NSSET", "n", "lock", "0")
    client("NSSET", "n", "freeze", "1")
    frozen = Error("Namespace is temporarily frozen (read-write disabled)")
    for command in (["SET", "k", "w"], ["DEL", "k"], ["GET", "k"], ["MGET", "k"], ["EXISTS", "k"], ["CHECK", "k"],
                    ["SCAN"], ["RSCAN"], ["HISTORY", "k"], ["LENGTH", "k"], ["KEYTIME", "k"], ["KEYCUR", "k"]):
        assert client(*command) == frozen, command
    client("NSSET", "n", "freeze", "0")
    client("NSSET", "n", "maxsize", "10")
    assert client("SET", "l", "x" * 10) == Error("No space left on this namespace")
    assert client("SET", "l", "x" * 9) == b"l"
    assert client("SET", "m", "x") == Error("No space left on this namespace")
    assert client("DEL", "l") == OK
    assert client("SET", "m", "x") == b"m"
    client("NSSET", "n", "worm", "1")
    assert client("SET", "m", "y") == Error("Namespace is protected by worm mode")
    assert client("DEL", "m") == Error("Cannot delete a key when namespace is in worm mode")


def test_the_mode_of_a_fresh_namespace_can_be_changed_on_a_mixed_server_only(make):
    with make() as server, server.client() as client:
        client("NSNEW", "n")
        assert client("NSSET", "n", "mode", "blocks") == Error("Invalid property value (expected: user, seq)")
        assert client("NSSET", "n", "mode", "seq") == OK
        client("SELECT", "n")
        assert client("SET", "", "v") == bytes(8)
        assert client("NSSET", "n", "mode", "user") == Error("Cannot change mode of used namespace")
    with server, server.client() as client:
        client("SELECT", "n")
        assert client("SET", "", "w") == bytes([1]) + bytes(7)
    with make("--mode", "seq") as server, server.client() as client:
        assert client("NSSET", "default", "mode", "user") == \
            Error("This server instance is configured to use a single runtime mode")


# ---- commands that the transcripts do not have ----

def test_names_match_whole_and_in_either_case(client):
    assert client("set", "k", "v") == b"k"
    assert client("gEt", "k") == b"v"
    for name in ("G", "GE", "GETX", "", "S"):
        assert client(name, "k") == Error("Command not supported")
    assert client("KSCAN", "k") == Error("Command disabled in release code, not yet available")
    assert client("STOP") == Error("Unauthorized")
    assert client("*") == Error("This is not a valid command")


def test_wait_is_told_of_the_next_command_of_another_client(server, client):
    with server.client() as waiter, server.client() as other:
        waiter.send(encode("WAIT", "SET", "20000") + encode("PING"))
        waiter_is_in = server.client()
        with waiter_is_in:
            waiter_is_in("PING")  # one turn of the loop later
        client("GET", "k")
        client("SET", "k", "v")
        assert waiter.reply() == Simple("SET")
        assert waiter.reply() == Simple("PONG")
        other.send(encode("WAIT", "*"))
        with server.client() as third:
            third("PING")
        client("TIME")
        assert other.reply() in (Simple("TIME"), Simple("PING"))
        assert waiter("WAIT", "SET", "100") == Error("Timeout")
        for words in (["99"], ["x"], ["1800001"]):
            assert waiter("WAIT", "SET", *words) == Error("Invalid timeout")
        assert waiter("WAIT", "NOTHING") == Error("Unknown command to watch")
        assert waiter("WAIT") == Error("Invalid arguments")


def test_mirrors_get_every_request_and_masters_name_where_theirs_come_from(server, client):
    with server.client() as mirror, server.client() as master:
        assert mirror("MIRROR") == Simple("Starting mirroring")
        client("SET", "k", "v")
        time_s, name, _, *words = mirror.reply()
        assert time_s > 1500000000 and name == b"default" and words == [b"SET", b"k", b"v"]
        assert master("MASTER") == Simple("Hello, master")
        assert mirror.reply()[3:] == [b"MASTER"]
        assert master("SET", "m", "v", "12345") == b"m"
        assert client("GET", "m") == b"v"


def test_cursors_go_through_all_keys_both_ways(client):
    keys = [f"key{i:05}".encode() for i in range(5000)]
    assert client.pipeline([("SET", key, "v") for key in keys]) == keys
    for command, want in (("SCAN", keys), ("SCANX", keys), ("RSCAN", keys[::-1])):
        found, reply = [], client(command)
        while isinstance(reply, list):
            found += [key for key, _, _ in reply[1]]
            reply = client(command, reply[0])
        assert reply == Error("No more data")
        assert found == want
    cursor = client("KEYCUR", keys[2])
    assert client("SCAN", cursor)[1][0][0] == keys[3]
    assert client("RSCAN", cursor)[1][0][0] == keys[1]
    assert client("SCAN", b"short") == Error("Invalid key format")
    assert client("SCAN", b"\x09" + b"\xff" * 16).startswith("Invalid key format")
    assert client("KEYCUR", "missing") == Error("Key not found")


def test_index_dirty_and_data_raw_tell_replicas(client):
    assert client("SET", "k", "v") == b"k"
    assert client("INDEX", "DIRTY") == [0]
    assert client("INDEX", "DIRTY", "RESET") == OK
    assert client("INDEX", "DIRTY") == []
    assert client("NSJUMP") == OK
    assert client("SET", "l", "w") == b"l"
    assert client("INDEX", "DIRTY") == [1]
    assert client("DEL", "k") == OK
    assert client("INDEX", "DIRTY") == [0, 1]
    key, previous, crc, flags, time_s, payload = client("DATA", "RAW", "0", "28")
    assert (key, previous, flags, payload) == (b"k", 0, 0, b"v") and time_s > 0
    assert re.fullmatch(rb"0x[0-9a-f]{8}", crc)
    assert client("DATA", "RAW", "0", "48") == Error("EOF")
    assert client("DATA", "RAW", "7", "28") == Error("Unexpected Internal Error")
    assert client("DATA", "RAW", "0", "1") == Error("Invalid Request")
    assert client("DATA", "COOKED", "0", "1") == Error("Unknown DATA subcommand")
    assert client("INDEX", "CLEAN") == Error("Unknown INDEX subcommand")


def test_a_reload_and_a_flush_leave_a_namespace_that_serves(server, client):
    client("NSNEW", "n")
    client("NSSET", "n", "password", "pw")
    client("NSSET", "n", "public", "0")
    client("SELECT", "n", "pw")
    assert client.pipeline([("SET", f"k{i}", "v") for i in range(100)])[99] == b"k99"
    assert client("RELOAD", "n") == OK
    assert client("DBSIZE") == 100
    assert client("SET", "k100", "v") == b"k100"
    assert client("FLUSH") == OK
    assert client("DBSIZE") == 0
    assert client("GET", "k1") is None
    assert client("SET", "k1", "w") == b"k1"
    assert client("GET", "k1") == b"w"
    assert server.stop() == 0
    server.start()
    with server.client() as again:
        assert again("SELECT", "n", "pw") == OK
        assert again("DBSIZE") == 1


# ---- large, many, slow ----

def test_payloads_up_to_8_MiB_come_back_and_check(client):
    for size in (0, 1, 262144, 262145, 1 << 20, PAYLOAD_BYTES_MAX):
        payload = os.urandom(size)
        assert client("SET", f"k{size}", payload) == f"k{size}".encode()
        assert client("GET", f"k{size}") == payload
        assert client("LENGTH", f"k{size}") == size
        assert client("CHECK", f"k{size}") == 1
    small = client("GET", "k1")
    large, missing, again = client("MGET", "k1048576", "missing", "k1")
    assert len(large) == 1 << 20 and missing is None and again == small
    assert client("MGET", f"k{PAYLOAD_BYTES_MAX}", f"k{PAYLOAD_BYTES_MAX}").startswith("The values of one MGET")
    assert client("SET", f"k{1 << 20}", "new") == f"k{1 << 20}".encode()
    reply = client("HISTORY", f"k{1 << 20}")
    assert reply[2] == b"new"
    assert client("HISTORY", f"k{1 << 20}", reply[0])[2] == large


def test_ten_thousand_pipelined_commands_are_answered_in_order(server, client):
    big = os.urandom(400000)
    assert client("SET", "big", big) == b"big"
    commands, want = [], []
    for i in range(10000):
        if i % 500 == 250:
            commands.append(("GET", "big"))
            want.append(big)
        elif i % 2:
            commands.append(("GET", f"k{i - 1}"))
            want.append(f"v{i - 1}".encode() if (i - 1) % 500 != 250 else None)
        else:
            commands.append(("SET", f"k{i}", f"v{i}"))
            want.append(f"k{i}".encode())
    replies = []
    reader = threading.Thread(target=lambda: replies.extend(client.reply() for _ in commands))
    reader.start()
    client.send(b"".join(encode(*command) for command in commands))
    reader.join(120)
    assert replies == want
    assert int(client.info("default")["syncs"]) < 1000


def test_a_corrupt_value_is_an_error_and_others_are_served(make):
    server = make()
    with server, server.client() as client:
        client("SET", "good", "payload-one")
        client("SET", "bad", "payload-two")
    path = server.base / "data/default/d0"
    path.write_bytes(path.read_bytes().replace(b"payload-two", b"payload-2wo"))
    with server, server.client() as client:
        assert client("GET", "good") == b"payload-one"
        assert "checksum" in client("GET", "bad") and "'bad'" in client("GET", "bad")
        assert client("CHECK", "bad") == 0
        assert client("CHECK", "good") == 1
        assert client.info("default")["corrupt_reads"] == "3"


def test_a_scrub_reads_everything_and_says_what_is_damaged(make):
    server = make("--scrub-rate", "0")
    with server, server.client() as client:
        client("NSNEW", "n")
        client("SELECT", "n")
        client.pipeline([("SET", f"k{at}", f"payload-{at:03}") for at in range(100)])
        assert client("SCRUB") == OK
        until(lambda: client.info("n")["scrub"] == "ended")
        assert client.info("n")["scrub_values"] == "100" and client.info("n")["scrub_corrupt"] == "0"
    path = server.base / "data/n/d0"
    path.write_bytes(path.read_bytes().replace(b"payload-042", b"payload-x42"))
    with server, server.client() as client:
        assert client("SCRUB", "n") == OK
        until(lambda: client.info("n")["scrub"] == "ended")
        assert client.info("n")["scrub_corrupt"] == "1"
        assert b"# n\nscrub: ended\n" in client("SCRUB", "STATUS")
        assert client("SCRUB", "missing") == Error("Namespace not found")
        assert "scrub found damage" in server.log() and "k42" in server.log()


def test_a_slow_scrub_gives_way_and_ends_with_the_server(make):
    with make("--scrub-rate", "1K") as server, server.client() as client:
        client.pipeline([("SET", f"k{at}", os.urandom(10000)) for at in range(20)])
        assert client("SCRUB") == OK
        assert client("SCRUB") == Error("Maintenance is running already: scrub of 'default'")
        assert client("RELOAD", "default") == OK
        assert client.info("default")["scrub"] == "cancelled"
        assert client("SCRUB") == OK
        assert client("SCRUB", "STOP") == OK
        until(lambda: client.info("default")["scrub"] == "cancelled")
        assert client("SCRUB") == OK


def test_a_compaction_returns_space_while_serving(make):
    with make("--datasize", "512K", "--compact-percent", "0") as server, server.client() as client:
        client("NSSET", "default", "versions", "0")
        keep = {f"k{at}": os.urandom(5000) for at in range(100)}
        for _ in range(5):
            client.pipeline([("SET", f"dead{at}", os.urandom(5000)) for at in range(100)])
        client.pipeline([("SET", key, value) for key, value in keep.items()])
        client.pipeline([("DEL", f"dead{at}") for at in range(100)])
        assert client("NSJUMP") == OK
        before = int(client.info("default")["data_files_bytes"])
        assert client("COMPACT") == OK
        until(lambda: client.info("default")["compact"] == "ended")
        info = client.info("default")
        assert int(info["compact_returned_bytes"]) > 2000000
        assert int(info["data_files_bytes"]) < before - 2000000
        assert client.pipeline([("GET", key) for key in keep]) == list(keep.values())
    with server, server.client() as client:
        assert client.pipeline([("GET", key) for key in keep]) == list(keep.values())


def compact(client):
    assert client("COMPACT") == OK
    until(lambda: client.info("default")["compact"] == "ended")


def test_a_cursor_that_compaction_made_stale_is_told_so(make):
    with make("--datasize", "512K", "--compact-percent", "0") as server, server.client() as client:
        client.pipeline([("SET", f"k{at}", os.urandom(1000)) for at in range(400)])
        cursor = client("KEYCUR", "k399")
        client.pipeline([("DEL", f"k{at}") for at in range(0, 400, 2)])
        assert client("NSJUMP") == OK
        compact(client)
        reply = client("SCAN", cursor)
        assert isinstance(reply, Error) and "scan again from the start" in reply
        found, reply = [], client("SCAN")
        while isinstance(reply, list):
            found += [key for key, _, _ in reply[1]]
            reply = client("SCAN", reply[0])
        assert found == [f"k{at}".encode() for at in range(1, 400, 2)]


def history(client, key):
    found, reply = [], client("HISTORY", key)
    while isinstance(reply, list):
        found.append(reply[2])
        reply = client("HISTORY", key, reply[0]) if reply[0] else None
    return found


@pytest.mark.parametrize("versions, left", [("all", 10), ("3", 4), ("0", 1)])
def test_versions_leave_history_as_the_namespace_says_and_not_before(make, versions, left):
    server = make("--datasize", "512K", "--compact-percent", "0")
    values = [os.urandom(50000) for _ in range(10)]
    with server, server.client() as client:
        assert client("NSSET", "default", "versions", versions) == OK
    with server, server.client() as client:  # the setting outlives the restart
        client.pipeline([("SET", "k", value) for value in values])
        assert history(client, "k") == values[::-1]
        assert client("NSJUMP") == OK
        compact(client)
        assert history(client, "k") == values[::-1][:left]


def memory_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_a_client_that_does_not_read_costs_bounded_memory_and_is_closed(make):
    with make("--stall-timeout", "1s") as server, server.client() as client:
        assert client("SET", "big", os.urandom(4 << 20)) == b"big"
        client("GET", "big")
        before = memory_kb(server.process.pid)
        with server.client() as stuck:
            stuck.socket.settimeout(0.5)
            request = encode("GET", "big") * 100
            sent = 0
            with pytest.raises((TimeoutError, ConnectionError)):
                while sent < 1 << 30:
                    sent += stuck.socket.send(request)
            assert client("PING") == Simple("PONG")
            assert memory_kb(server.process.pid) - before < 64 << 10
            until(lambda: b"clients_connected: 1\n" in client("INFO"))
        assert client("GET", "big") is not None


def test_half_a_request_is_closed_after_a_while_and_idle_ones_too(make):
    with make("--stall-timeout", "300ms", "--idle-timeout", "1h") as server:
        with server.client() as half:
            half.send(b"*2\r\n$3\r\nGE")
            assert half.is_closed()
    with make("--idle-timeout", "300ms") as server, server.client() as idle:
        assert idle.is_closed()


def test_a_thousand_connections_are_served(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    clients = []
    try:
        clients = [server.client() for _ in range(1000)]
        for at, client in enumerate(clients):
            client.send(encode("SET", f"k{at}", "v"))
        assert [client.reply() for client in clients] == [f"k{at}".encode() for at in range(1000)]
        assert clients[0]("DBSIZE") == 1000
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_connections_than_allowed_are_told_so(make):
    with make("--connections", "2") as server, server.client() as one, server.client() as two:
        assert one("PING") == two("PING") == Simple("PONG")
        with server.client() as three:
            assert three.reply() == Error("Too many connections")
            assert three.is_closed()
        assert one("PING") == Simple("PONG")


# ---- bad input ----

BAD = {
    "inline": b"PING\r\n",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "negative length": b"*2\r\n$3\r\nGET\r\n$-1\r\n",
    "negative count": b"*-1\r\n",
    "huge length": b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
    "huge count": b"*99999999\r\n",
    "missing length": b"*1\r\n$\r\nPING\r\n",
    "thousands of arguments": encode(*["PING"] * 1025),
    "nested": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "longer than it says": b"*1\r\n$3\r\nPING\r\n",
    "payload of 8 MiB and a byte": encode("SET", "k", b"x" * (PAYLOAD_BYTES_MAX + 1)),
    "binary": bytes(range(256)) * 16,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_and_closed_and_hurts_nobody(server, client, name):
    assert client("SET", "k", "v") == b"k"
    with server.client() as bad:
        bad.send(encode("PING"))
        try:
            bad.send(BAD[name])
            bad.send(encode("GET", "k"))
        except ConnectionError:
            pass
        assert bad.reply() == Simple("PONG")
        reply = bad.reply()
        assert isinstance(reply, Error) and reply.startswith("Protocol error"), reply
        assert bad.is_closed()
    assert client("GET", "k") == b"v"


def test_what_keeps_the_stream_in_step_is_an_error_only(client):
    assert client("SET", "k" * 256, "v") == Error("Key too large")
    assert client("SET", "k" * 255, "v") == b"k" * 255
    for name in ("GET", "DEL", "EXISTS", "CHECK", "LENGTH", "KEYTIME", "KEYCUR"):
        assert client(name, "k" * 256) == Error("Invalid key")
        assert client(name, "") == Error("Invalid argument")
        assert client(name) == Error("Unexpected arguments")
    assert client("SET", "", "v") == Error("Invalid argument, key needed")
    assert client("SET", "k") == client("SET") == Error("Unexpected arguments")
    assert client("MGET") == client("HISTORY") == Error("Invalid arguments")
    assert client("SELECT") == Error("Invalid argument")
    assert client("SELECT", "x" * 129) == Error("Namespace too long")
    assert client(*["PING"] * 1024) == Simple("PONG")
    client.send(b"*0\r\n")
    assert client.reply() == Error("Missing arguments")
    assert client("SET", "k", "v", "soon") == Error("Invalid timestamp")
    for cut in range(1, len(encode("GET", "k"))):
        whole = encode("GET", "missing")
        client.send(whole[:cut])
        client.send(whole[cut:])
        assert client.reply() is None


# ---- durability ----

def test_what_was_acknowledged_survives_a_kill_in_the_middle(make):
    server = make()
    expected = {}
    for turn in range(3):
        server.start()
        lock, threads = threading.Lock(), []

        def write(worker):
            at = 0
            try:
                with server.client() as client:
                    while True:
                        batch = [(f"{turn}-{worker}-{at + i}", os.urandom(100 + 40 * i)) for i in range(8)]
                        client.send(b"".join(encode("SET", key, value) for key, value in batch))
                        for key, value in batch:
                            assert client.reply() == key.encode()
                            with lock:
                                expected[key] = value
                        at += 8
            except (Closed, ConnectionError):
                pass

        for worker in range(8):
            threads.append(threading.Thread(target=write, args=(worker,)))
            threads[-1].start()
        with server.client() as watcher:
            while watcher("DBSIZE") < 500 * (turn + 1):
                pass
        server.kill()
        for thread in threads:
            thread.join()
    with server, server.client() as client:
        keys = list(expected)
        assert client.pipeline([("GET", key) for key in keys]) == [expected[key] for key in keys]


def test_many_durable_writers_share_syncs(server):
    with server.client() as client:
        before = int(client.info("default")["syncs"])
        clients = [server.client() for _ in range(64)]
        for turn in range(20):
            for at, one in enumerate(clients):
                one.send(encode("SET", f"k{at}", os.urandom(4096)))
            for at, one in enumerate(clients):
                assert one.reply() == f"k{at}".encode()
        syncs = int(client.info("default")["syncs"]) - before
        for one in clients:
            one.close()
        assert syncs < 64 * 20 / 4


@pytest.mark.parametrize("durability", ["always", "interval:20", "never"])
def test_a_clean_stop_keeps_everything(make, durability):
    server = make("--durability", durability)
    with server, server.client() as client:
        client.pipeline([("SET", f"k{i}", f"v{i}") for i in range(1000)])
    with server, server.client() as client:
        assert client.pipeline([("GET", f"k{i}") for i in range(1000)]) == [f"v{i}".encode() for i in range(1000)]


def test_a_removal_that_was_interrupted_is_finished_by_the_next_start(make):
    server = make()
    with server, server.client() as client:
        client("NSNEW", "n")
        client("SELECT", "n")
        client("SET", "k", "v")
    (server.base / "index/.deleting-n").write_text("removed\n")
    with server, server.client() as client:
        assert client("NSLIST") == [b"default"]
        assert client("NSNEW", "n") == client("SELECT", "n") == OK
        assert client("GET", "k") is None
    assert not (server.base / "index/.deleting-n").exists()


# ---- files ----

def test_a_folder_that_is_no_namespace_is_left_alone(make):
    server = make()
    with server, server.client() as client:
        client("NSNEW", "n")
    (server.base / "index/lost+found").mkdir(mode=0)
    (server.base / "index/half-made").mkdir()
    with server, server.client() as client:
        assert client("NSLIST") == [b"default", b"n"]
        assert client("NSNEW", "half-made") == OK
    assert list((server.base / "index/half-made").iterdir())
    assert not list((server.base / "index/lost+found").iterdir())


def test_rotation_starts_new_files_after_writes(make):
    with make("--rotate", "1") as server, server.client() as client:
        client("SET", "k", "v")
        until(lambda: client.info("default")["data_current_id"] == "1")
        assert client("GET", "k") == b"v"


def test_data_files_end_at_datasize(make):
    with make("--datasize", "512K") as server, server.client() as client:
        for at in range(6):
            client("SET", f"k{at}", os.urandom(200 << 10))
        assert client.info("default")["data_current_id"] == "2"


def test_a_socket_that_closes_its_side_gets_its_replies(server):
    with server.client() as client:
        client.send(encode("SET", "k", "v") + encode("GET", "k"))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.reply() == b"k"
        assert client.reply() == b"v"
        assert client.is_closed()
