# SPDX-License-Identifier: Apache-2.0
"""gridlet-zdb as a program: where it listens, its options, hooks, metrics, and what it gives up."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from zdb import OK, Client, Error, Simple, Zdb, client, encode, make, make_fast, server, until  # noqa: F401


# ---- where it listens, and who may do what ----

def test_ipv4_and_ipv6_are_served_from_one_port(make):
    with make("--listen", "::", "--port", "0", "--admin", "a") as server:
        with Client(("::1", server.port())) as six, Client(("127.0.0.1", server.port())) as four:
            assert six("SET", "k", "v") == b"k"
            assert four("GET", "k") == b"v"


def test_dualnet_listens_on_both(make):
    server = make("--port", "0", "--dualnet", "--socket")
    server.options.append(server.socket)
    with server, server.client() as local, Client(("127.0.0.1", server.port())) as net:
        assert local("SET", "k", "v") == b"k"
        assert net("GET", "k") == b"v"


def test_without_a_password_it_refuses_to_listen_openly(make):
    for address in ("::", "0.0.0.0"):
        server = make("--listen", address, "--port", "0")
        with pytest.raises(RuntimeError):
            server.start()
        assert "--admin PASSWORD" in server.log() and "--open" in server.log()
    with make("--listen", "::", "--port", "0", "--open") as server, Client(("127.0.0.1", server.port())) as client:
        assert client("PING") == Simple("PONG")
    with make("--port", "0") as server:  # no address given: loopback
        assert "loopback only" in server.log()
        with Client(("127.0.0.1", server.port())) as client, Client(("::1", server.port())) as other:
            assert client("PING") == other("PING") == Simple("PONG")


# ---- hooks ----

HOOK = """#!/bin/sh
printf '%s\\n' "$*" >>"{log}"
case $1 in {failing}) exit 3 ;; esac
"""


def make_hook(folder, failing="nothing"):
    log, script = folder / "hooks", folder / "hook.sh"
    script.write_text(HOOK.format(log=log, failing=failing))
    script.chmod(0o755)
    return script, log


def test_hooks_are_called_with_name_instance_and_arguments(make, tmp_path):
    script, log = make_hook(tmp_path)
    server = make("--hook", script)
    with server, server.client() as client:
        base, instance = server.base, f"unix://{server.socket}"
        lines = log.read_text().split("\n")
        assert lines[:2] == [f"namespaces-init {instance} {base}/index {base}/data", f"ready {instance}"]
        client("NSNEW", "n")
        client("NSSET", "n", "worm", "1")
        client("SET", "k", "v")
        client("NSJUMP")
        client("RELOAD", "n")
        client("NSDEL", "n")
        d, i = f"{base}/data/default/d", f"{base}/index/default/i"
        wanted = {f"namespace-created {instance} n", f"namespace-updated {instance} n", f"namespace-reloaded {instance} n",
                  f"namespace-deleted {instance} n", f"jump-index {instance} {i}0 {i}1 0", f"jump-data {instance} {d}0 {d}1"}
        until(lambda: wanted <= set(log.read_text().split("\n")))
        hooks = client("HOOKS")
        assert {hook[0] for hook in hooks} >= {b"namespace-created", b"namespace-deleted"}
        assert all(len(hook) == 6 for hook in hooks)
    assert log.read_text().split("\n")[-2] == f"close {instance}"


def test_a_hook_that_fails_at_ready_ends_the_start_and_a_crash_is_told(make, tmp_path):
    script, log = make_hook(tmp_path, failing="ready")
    server = make("--hook", script)
    with pytest.raises(RuntimeError):
        server.start()
    assert "status 3" in server.log()
    script, log = make_hook(tmp_path)
    log.write_text("")
    server.start()
    server.kill()
    until(lambda: "crash " in log.read_text())
    missing = make("--hook", tmp_path / "missing")
    with pytest.raises(RuntimeError):
        missing.start()


def test_a_missing_data_file_is_asked_for(make, tmp_path):
    server = make()
    with server, server.client() as client:
        client("SET", "k", "v")
        client("NSJUMP")
        client("SET", "l", "w")
    data = server.base / "data/default/d0"
    data.rename(tmp_path / "kept")
    script = tmp_path / "hook.sh"
    script.write_text(f'#!/bin/sh\n[ "$1" != missing-data ] || mv "{tmp_path}/kept" "$3"\n')
    script.chmod(0o755)
    server.options += ["--hook", script]
    with server, server.client() as client:
        assert client("GET", "k") == b"v"


# ---- the program ----

def test_help_version_and_wrong_options(programs):
    program = Path(programs, "gridlet-zdb")

    def run(*words):
        return subprocess.run([program, *words], capture_output=True, text=True)

    text = run("--help").stdout
    for name in ("data", "index", "mode", "datasize", "listen", "port", "socket", "dualnet", "hook", "admin", "maxsize",
                 "protect", "verbose", "dump", "sync", "secure", "background", "logfile", "rotate", "version", "help",
                 "durability", "open", "metrics", "ready-fd", "config", "user"):
        assert f"--{name}" in text, name
    assert run("--version").stdout.startswith("gridlet-zdb ")
    for words, said in ((["--mode", "x"], "user or seq"), (["--datasize", "1K"], "512K"), (["--datasize", "4G"], "4G"),
                        (["--durability", "x"], "interval:MS"), (["--port", "70000"], "65535"), (["--nothing"], "unknown"),
                        (["--durability", "interval:0"], "interval:MS"), (["--connections", "0"], "connections")):
        done = run(*words)
        assert done.returncode == 1 and said in done.stderr, (words, done.stderr)


def test_dump_prints_all_keys_and_ends(make):
    server = make()
    with server, server.client() as client:
        client("SET", "key", "value")
    done = subprocess.run([*server.command(), "--dump"], capture_output=True, text=True)
    assert done.returncode == 0
    assert re.search(r"^default 6b6579 5 \d+ 0:29$", done.stdout, re.M), done.stdout


def test_background_returns_when_it_serves(make, tmp_path):
    server = make()
    command = [*server.command(), "--socket", server.socket, "--background", "--logfile", tmp_path / "log"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    pid = int(re.search(r"pid (\d+)", done.stdout)[1])
    try:
        with server.client() as client:
            assert client("PING") == Simple("PONG")
        assert "gridlet-zdb serves" in (tmp_path / "log").read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())


def test_two_servers_on_one_folder_or_socket_are_refused(make, server):
    other = Zdb(server.program.parent, server.base)
    other.log_path = server.base / "other-log"
    with pytest.raises(RuntimeError):
        other.start()
    assert "another process serves there" in other.log()
    other.options = ["--port", "0"]
    with pytest.raises(RuntimeError):
        other.start()
    assert "is open already" in other.log()
    with server.client() as client:
        assert client("PING") == Simple("PONG")


def test_counters_are_served_over_http(make):
    with make("--metrics", "127.0.0.1:0") as server, server.client() as client:
        port = int(re.search(r'msg="metrics are served".* port=(\d+)', server.log())[1])
        client("NSNEW", 'a"b')
        client("SET", "k", "v")
        client("NOTHING")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
            assert reply.headers["Content-Type"].startswith("text/plain")
            text = reply.read().decode()
        for line in ('zdb_commands_total{command="SET"} 1', "zdb_unknown_commands_total 1", "zdb_connections 1",
                     'zdb_namespace_keys{namespace="default"} 1', 'zdb_namespace_keys{namespace="a\\"b"} 0',
                     'zdb_commit_seconds_bucket{le="+Inf"} 1', "zdb_commit_seconds_count 1"):
            assert line in text.split("\n"), line
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=30)


def test_a_reader_of_the_metrics_that_does_not_read_hurts_nobody(make_fast):
    """Its replies fill the socket: then the server asks the kernel how much was taken, which the filter of the release
    program must allow (that of the sanitized one is wider)."""
    with make_fast("--metrics", "127.0.0.1:0") as server, server.client() as client:
        port = int(re.search(r'msg="metrics are served".* port=(\d+)', server.log())[1])
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", port))
            stuck.settimeout(2)
            with pytest.raises(TimeoutError):
                while True:
                    stuck.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            assert client("PING") == Simple("PONG")
            assert server.process.poll() is None


def test_space_is_reserved_on_the_disk(make):
    with make("--reserve", "1M", "--port", "0") as server:
        assert (server.base / "data/zdb-reserve").stat().st_size == 1 << 20
    failed = make("--reserve", "much")
    with pytest.raises(RuntimeError):
        failed.start()
    assert "'reserve'" in failed.log()


def test_a_namespace_that_cannot_be_opened_keeps_no_other_from_being_served(make):
    server = make("--admin", "root")
    with server, server.client() as client:
        assert client("AUTH", "root") == OK
        for name in ("bad", "good"):
            assert client("NSNEW", name) == client("SELECT", name) == OK
            assert client("SET", "k", name) == b"k"
        assert client("NSSET", "bad", "password", "pw") == client("NSSET", "bad", "public", "0") == OK
    path = server.base / "index/bad/i0"
    whole = path.read_bytes()
    path.write_bytes(b"DAMAGED!" + whole[8:])
    with server, server.client() as client, server.client() as stranger:
        assert "cannot be opened" in server.log() and "'bad'" in server.log()
        assert client("AUTH", "root") == client("SELECT", "good") == OK
        assert client("GET", "k") == b"good"
        for words in (("SELECT", "bad"), ("SELECT", "bad", "pw"), ("NSINFO", "bad"), ("NSSET", "bad", "worm", "1")):
            assert client(*words).startswith("Namespace is not open"), words
        assert stranger("SELECT", "bad").startswith("Namespace is not open")
        assert client("NSLIST") == [b"default", b"bad", b"good"]
        assert client("RELOAD", "bad").startswith("Could not reload this namespace")
        path.write_bytes(whole)
        assert client("RELOAD", "bad") == OK
        assert stranger("SELECT", "bad") == Error("Namespace protected and private")
        assert client("SELECT", "bad", "pw") == OK
        assert client("GET", "k") == b"bad"
    path.write_bytes(b"DAMAGED!" + whole[8:])
    with server, server.client() as client:
        assert client("AUTH", "root") == client("NSDEL", "bad") == OK
    assert not path.exists()


def test_a_removal_that_fails_gives_its_name_to_nobody_and_can_be_repeated(server, client):
    if os.getuid() != 0:
        pytest.skip("needs root")
    folder = server.base / "index/n"
    assert client("NSNEW", "n") == client("SELECT", "n") == client("NSSET", "n", "worm", "1") == OK
    assert client("SET", "k", "v") == b"k"
    assert client("SELECT", "default") == OK
    os.chown(folder, 65534, 65534)  # root without capabilities may not remove what is in it
    assert client("NSDEL", "n").startswith("Could not delete this namespace")
    assert client("NSLIST") == [b"default", b"n"]
    assert client("NSNEW", "n") == Error("This namespace is not available")
    assert client("SELECT", "n").startswith("Namespace is not open")
    assert "NSDEL" in client("RELOAD", "n")
    os.chown(folder, 0, 0)
    assert client("NSDEL", "n") == client("NSNEW", "n") == client("SELECT", "n") == OK
    assert client("GET", "k") is None


@pytest.fixture
def small_disk():
    """An ext4 of 32 MiB."""
    with tempfile.TemporaryDirectory(prefix="gz-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        image, point = Path(folder, "disk"), Path(folder, "d")
        image.touch()
        os.truncate(image, 32 << 20)
        point.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, point], check=True)
        try:
            yield point
        finally:
            subprocess.run(["umount", "-l", point], check=True)


def eat(path):
    """Another program takes every block that is left."""
    with path.open("ab", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(b"x" * size)
                os.fsync(file.fileno())
            except OSError:
                size //= 2


def test_on_a_full_disk_a_namespace_can_be_removed_and_then_there_is_room(programs, small_disk):
    server = Zdb(programs, small_disk, "--reserve", "2M", "--datasize", "1M", "--user", "root")
    with server, server.client() as client:
        assert client("SET", "kept", "value") == b"kept"
        assert client("NSNEW", "n") == client("SELECT", "n") == OK
        reply = None
        for at in range(1000):
            reply = client("SET", f"k{at}", os.urandom(100000))
            if isinstance(reply, Error):
                break
        assert reply == Error("No space left on this namespace")
        eat(small_disk / "ballast")
        assert client("DEL", "k0") == OK
        assert client("GET", "k1") is not None
        eat(small_disk / "ballast")
        with server.client() as other:
            more = os.urandom(1500000)  # more than was set aside for small writes
            assert other("SET", "more", more) == Error("No space left on this namespace")
            assert other("NSDEL", "n") == OK
            os.sync()
            until(lambda: other("SET", "more", more) == b"more")  # the reserve is whole again
            assert other("GET", "kept") == b"value"
        client.close()


def test_it_confines_itself(server):
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    assert re.search(r"^CapEff:\t0{16}$", status, re.M)
    assert re.search(r"^CapPrm:\t0{16}$", status, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        assert re.search(r"^Seccomp:\t2$", (task / "status").read_text(), re.M)


def test_outside_of_its_folders_it_opens_nothing(make, tmp_path):
    """A namespace whose folder became a link that leads away: root's rights would do, the fence refuses."""
    for option, allowed in ((), False), (("--unconfined",), True):
        server = make(*option)
        with server, server.client() as client:
            assert client("NSNEW", "n") == OK
            away = tmp_path / f"away-{allowed}"
            (server.base / "data/n").rename(away)
            (server.base / "data/n").symlink_to(away)
            seccomp = re.search(r"^Seccomp:\t(\d)$", Path(f"/proc/{server.process.pid}/status").read_text(), re.M)[1]
            assert seccomp == ("0" if allowed else "2")
            reply = client("RELOAD", "n")
            assert reply == OK if allowed else "Permission denied" in reply, reply


def calls_of(server, calls, work):
    """How often the program makes these system calls while work() runs."""
    trace = server.base / "trace"
    words = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={calls}", "-p", str(server.process.pid)]
    strace = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        status = Path(f"/proc/{server.process.pid}/status")
        until(lambda: not re.search(r"^TracerPid:\t0$", status.read_text(), re.M))
        work()
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(60)
    return sum("resumed>" not in line and "(" in line for line in trace.read_text().split("\n"))


def test_replies_to_a_pipelined_batch_leave_together(make):
    count = 500
    with make("--port", "0") as server, Client(("127.0.0.1", server.port())) as client:
        keys = [f"key{at:03}".encode() for at in range(count)]
        sets = [("SET", key, os.urandom(64)) for key in keys]
        sent = b"".join(encode(*words) for words in sets)
        assert len(sent) < 64 << 10

        def write():
            assert client.pipeline(sets) == keys

        def read():
            assert client.pipeline([("GET", key) for key in keys]) == [value for _, _, value in sets]

        # One write for what one read brought: TCP may hand the batch over in a few pieces.
        assert 1 <= calls_of(server, "sendmsg,sendto,write,writev", write) <= 12
        assert 1 <= calls_of(server, "sendmsg,sendto,write,writev", read) <= 12


def test_a_key_costs_at_most_48_bytes_of_memory_and_an_id_none(make_fast):
    count = 200000  # just behind a growth of the table, where a key costs the most

    def rss(server):
        return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text(), re.M)[1]) << 10

    for mode, most in ("user", 48 + 9), ("seq", 0):
        server = make_fast("--mode", mode, "--durability", "never")
        with server, server.client() as client:
            client.pipeline([("SET", "" if mode == "seq" else "k", "v")] * 100)
            before = rss(server)
            for start in range(0, count, 10000):
                keys = ["" if mode == "seq" else f"k{at:08}" for at in range(start, start + 10000)]
                client.pipeline([("SET", key, "v") for key in keys])
            assert rss(server) - before <= count * most + (2 << 20)  # buffers, arenas
        with server, server.client() as client:
            assert client("DBSIZE") >= count
            assert rss(server) - before <= count * most + (2 << 20)


def test_it_becomes_the_user_it_is_told(programs, make):
    if os.getuid() != 0:
        pytest.skip("needs root")
    with tempfile.TemporaryDirectory(prefix="gz-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        server = Zdb(programs, folder, "--user", "nobody", "--port", "0")
        with server:
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            assert not re.search(r"^Uid:\t0", status, re.M)
            with Client(("127.0.0.1", server.port())) as client:
                assert client("NSNEW", "n") == OK
                assert client("SET", "k", "v") == b"k"
        Path(folder, "data").chmod(0o700)
        os.chown(Path(folder, "data"), 0, 0)
        with pytest.raises(RuntimeError):
            server.start()
        assert f"use the folder '{folder}/data' as the user 'nobody'" in server.log() and "chown -R" in server.log()
    failed = make("--user", "no-such-user-here")
    with pytest.raises(RuntimeError):
        failed.start()
    assert "no-such-user-here" in failed.log()


def test_a_file_of_settings_is_read(make, tmp_path):
    (tmp_path / "zdb.yaml").write_text("mode: seq\nmaxsize: 1000\nunknown-key: 1\n")
    server = make("--config", tmp_path / "zdb.yaml")
    with pytest.raises(RuntimeError):
        server.start()
    assert "line 3" in server.log()
    (tmp_path / "zdb.yaml").write_text("mode: seq\nmaxsize: 1000\n")
    with server, server.client() as client:
        assert client("SET", "", "v") == bytes(8)
        assert client.info("default")["data_limits_bytes"] == "1000"
