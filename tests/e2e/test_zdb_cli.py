# SPDX-License-Identifier: Apache-2.0
"""gridlet zdb: namespaces of the node's own 0-db server, which lives on whatever becomes of gridletd."""
import base64
import json
import os
import signal
import socket
import subprocess
import time

import pytest

SERVER = "gridlet-zdb"


@pytest.fixture(scope="module")
def node(make_node, tmp_path_factory):
    """A node without images. At the end of the module nothing of it may be left."""
    node = make_node(tmp_path_factory.mktemp("registries")).start()
    try:
        yield node
        if node.process is None:
            node.start()
        for row in rows(node):
            node.gridlet("zdb", "rm", "--yes", row["name"])
        wait_for(lambda: not servers(node))
        assert node.stop() == 0, node.log()[-3000:]
        assert node.sanitizer_reports() == []
        assert node.leftovers() == []
    finally:
        node.destroy()


@pytest.fixture
def space(node):
    """A namespace for one test."""
    node.gridlet("zdb", "create", "photos", "--size", "1M", "--durability", "always")
    yield "photos"
    node.gridlet("zdb", "rm", "--yes", "photos", check=False)


def rows(node, *words):
    return json.loads(node.gridlet("zdb", "ls", "-o", "json", *words).stdout)


def servers(node):
    return [pid for pid, line in node.processes().items() if line.startswith(SERVER)]


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def talk(node, *commands):
    """redis-cli on the node's socket; its lines."""
    done = subprocess.run(["redis-cli", "-s", node.run / "zdb.sock"], input="\n".join(commands) + "\n", text=True,
                          errors="replace", capture_output=True, check=True, timeout=60)
    return done.stdout.split("\n")


def test_without_a_namespace_there_is_no_server(node):
    assert rows(node) == [] and servers(node) == []
    missing = node.gridlet("zdb", "info", "photos", check=False)
    assert missing.returncode == 1 and "there is no namespace 'photos'" in missing.stderr


def test_a_namespace_is_made_changed_shown_and_removed(node, space):
    assert len(servers(node)) == 1
    [row] = rows(node)
    assert (row["name"], row["mode"], row["data_limits_bytes"], row["public"]) == (space, "userkey", 1000000, False)
    again = node.gridlet("zdb", "create", space, check=False)
    assert again.returncode == 1 and "exists already" in again.stderr
    node.gridlet("zdb", "set", space, "size=2M", "public=yes", "durability=interval:50", "versions=3", "password=pw")
    shown = json.loads(node.gridlet("zdb", "info", space, "-o", "json").stdout)
    assert (shown["data_limits_bytes"], shown["public"], shown["password"]) == (2000000, True, True)
    assert (shown["durability"], shown["versions"]) == ("interval:50", 3)
    table = node.gridlet("zdb", "ls").stdout
    assert table.startswith("NAME") and "public,password" in table and "1.9 MiB" in table
    refused = node.gridlet("zdb", "rm", space, check=False)
    assert refused.returncode == 2 and "say --yes" in refused.stderr
    node.gridlet("zdb", "rm", "-f", space)
    assert rows(node) == []
    wait_for(lambda: not servers(node))


def test_the_password_stands_in_no_process_list_and_in_no_readable_file(node, space):
    [pid] = servers(node)
    for path in (node.root / "zdb" / "admin", node.root / "zdb" / "gridlet-zdb.yaml"):
        assert path.stat().st_mode & 0o777 == 0o600
    password = (node.root / "zdb" / "admin").read_text().strip()
    assert len(password) == 32
    for name in ("cmdline", "environ"):
        assert password.encode() not in open(f"/proc/{pid}/{name}", "rb").read()


def test_limits_are_enforced_by_the_server_and_by_the_contract(node, space):
    node.gridlet("zdb", "set", space, "size=1000")
    said = talk(node, f"SELECT {space}", "SET a " + "x" * 900, "SET b " + "x" * 200, "GET b")
    assert said[1] == "a" and "No space left on this namespace" in said[2]
    large = node.gridlet("zdb", "create", "large", "--size", "900T", check=False)
    assert large.returncode == 1 and "bytes of storage left" in large.stderr
    grown = node.gridlet("zdb", "set", space, "size=900T", check=False)
    assert grown.returncode == 1 and "bytes of storage left" in grown.stderr
    assert [row["data_limits_bytes"] for row in rows(node)] == [1000]


def test_wrong_words_are_told_what_is_right(node):
    for words, text in [(("create", "a/b"), "without '/'"), (("create", "x", "--size", "much"), "takes a size"),
                        (("create", "default"), "choose another"), (("set", "x", "colour=red"), "has no 'colour'"),
                        (("set", "x"), "KEY=VALUE"), (("polish", "x"), "no command 'polish'"),
                        (("dump", "x", "--format", "xml"), "not json or resp")]:
        done = node.gridlet("zdb", *words, check=False)
        assert done.returncode in (1, 2) and text in done.stderr, done.stderr
    assert "Examples:" in node.gridlet("zdb", "create", "--help").stdout
    assert "compact" in node.gridlet("zdb", "--help").stdout


def test_what_was_written_outlives_every_kill(node, space):
    talk(node, f"SELECT {space}", "SET a one", "SET b two")
    [pid] = servers(node)
    node.kill()
    assert servers(node) == [pid]
    node.start()
    assert [row["entries"] for row in rows(node)] == [2] and servers(node) == [pid]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid not in servers(node))
    assert [row["entries"] for row in rows(node)] == [2]  # waits for the next server
    [second] = servers(node)
    assert talk(node, f"SELECT {space}", "GET b")[1] == "two"
    node.kill()
    os.kill(second, signal.SIGKILL)  # nobody watches
    wait_for(lambda: not servers(node))
    node.start()
    assert [row["data_limits_bytes"] for row in rows(node)] == [1000000]
    assert len(servers(node)) == 1
    before = servers(node)
    node.restart()
    assert rows(node) and servers(node) == before
    usage = json.loads(node.gridlet("status", "-o", "json").stdout)["contracts"][0]
    assert (usage["namespaces"], usage["promised_storage_bytes"]) == (1, 1000000)


def test_a_making_that_was_killed_half_way_leaves_no_namespace(node, space):
    """The intent is on disk, the namespace is made, and gridletd is gone."""
    node.kill()
    talk(node, f"AUTH {(node.root / 'zdb' / 'admin').read_text().strip()}", "NSNEW half")
    (node.root / "zdb" / "making.half").touch()
    node.start()
    assert [row["name"] for row in rows(node)] == [space]
    assert not (node.root / "zdb" / "making.half").exists()


def test_a_dump_has_every_live_key_in_the_order_of_writing(node, space):
    talk(node, f"SELECT {space}", *[f"SET key{i} value{i}" for i in range(100)], 'SET "\\xff" "\\xfe\\x00"', "DEL key7",
         "SET key3 again")
    lines = [json.loads(line) for line in node.gridlet("zdb", "dump", space, "--values").stdout.splitlines()]
    expected = [f"key{i}" for i in range(100) if i not in (3, 7)]
    assert [line.get("key") for line in lines] == [*expected, None, "key3"]
    assert base64.b64decode(lines[-2]["key_base64"]) == b"\xff"
    assert base64.b64decode(lines[-2]["value_base64"]) == b"\xfe\x00"
    assert (lines[-1]["value"], lines[-1]["size"]) == ("again", 5) and lines[0]["time"] > 0
    assert "value" not in node.gridlet("zdb", "dump", space).stdout


def test_a_dump_as_commands_fills_another_namespace(node, space):
    talk(node, f"SELECT {space}", *[f"SET key{i} value{i}" for i in range(50)])
    raw = subprocess.run([node.programs / "gridlet", "--run", node.run, "zdb", "dump", space, "--format", "resp"],
                         capture_output=True, check=True).stdout
    node.gridlet("zdb", "create", "copy")
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(node.run / "zdb.sock"))
            s.sendall(b"*2\r\n$6\r\nSELECT\r\n$4\r\ncopy\r\n" + raw)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        copied = node.gridlet("zdb", "dump", "copy", "--values").stdout
        assert [json.loads(line)["value"] for line in copied.splitlines()] == [f"value{i}" for i in range(50)]
    finally:
        node.gridlet("zdb", "rm", "--yes", "copy")


def test_the_largest_values_are_dumped_one_after_the_other(node, space):
    """Control characters take six bytes each in JSON."""
    node.gridlet("zdb", "set", space, "size=100M")
    large = b"\x01" * (8 << 20)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(node.run / "zdb.sock"))
        s.sendall(b"*2\r\n$6\r\nSELECT\r\n$6\r\nphotos\r\n")
        for key in (b"a", b"b", b"c"):
            s.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$%d\r\n%s%s\r\n" % (key, len(large), key, large[1:]))
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass
    lines = node.gridlet("zdb", "dump", space, "--values").stdout.splitlines()
    values = [json.loads(line)["value"] for line in lines]
    assert [(value[0], len(value)) for value in values] == [("a", 8 << 20), ("b", 8 << 20), ("c", 8 << 20)]


def test_a_private_namespace_is_dumped_with_its_password(node, space, tmp_path):
    node.gridlet("zdb", "set", space, "password=secret")
    refused = node.gridlet("zdb", "dump", space, check=False)
    assert refused.returncode == 1 and "protected and private" in refused.stderr
    (tmp_path / "pw").write_text("secret\n")
    assert node.gridlet("zdb", "dump", space, "--password-file", tmp_path / "pw").stdout == ""


def test_scrub_and_compact_are_followed_to_their_end(node, space):
    node.gridlet("zdb", "set", space, "size=0", "versions=0")
    talk(node, f"SELECT {space}", *[f"SET key{i % 10} {i}" + "x" * 1000 for i in range(500)])
    assert node.gridlet("zdb", "scrub", space).stdout.startswith(f"{space}: ")
    assert " 0 corrupt\n" in node.gridlet("zdb", "scrub", space).stdout
    talk(node, f"AUTH {(node.root / 'zdb' / 'admin').read_text().strip()}", f"SELECT {space}", "NSJUMP")
    [before] = rows(node)
    assert " returned\n" in node.gridlet("zdb", "compact", space).stdout
    [after] = rows(node)
    assert after["data_files_bytes"] < before["data_files_bytes"] / 2 and after["entries"] == 10
    shown = json.loads(node.gridlet("zdb", "scrub", space, "-o", "json").stdout)
    assert (shown["scrub"], shown["scrub_corrupt"]) == ("ended", 0)
    data = node.root / "zdb" / "data" / space / "d0"
    [pid] = servers(node)
    os.kill(pid, signal.SIGKILL)
    data.write_bytes(data.read_bytes().replace(b"491xxx", b"491yxx"))
    damaged = node.gridlet("zdb", "scrub", space, check=False)
    assert damaged.returncode == 1 and " 1 corrupt\n" in damaged.stdout, damaged


def test_a_damaged_namespace_is_told_and_removed_and_hurts_no_other(node, space):
    node.gridlet("zdb", "create", "bad", "--size", "1M")
    path = node.root / "zdb" / "index" / "bad" / "i0"
    [pid] = servers(node)
    os.kill(pid, signal.SIGKILL)
    path.write_bytes(b"DAMAGED!" + path.read_bytes()[8:])
    assert [row["name"] for row in rows(node)] == [space]
    told = node.gridlet("zdb", "ls").stderr
    assert "bad" in told and "not open" in told
    refused = node.gridlet("zdb", "info", "bad", check=False)
    assert refused.returncode == 1 and "not open" in refused.stderr
    node.gridlet("zdb", "rm", "--yes", "bad")
    assert "bad" not in node.gridlet("zdb", "ls").stderr


def test_any_server_is_managed_directly(node, space):
    there = ("--server", node.run / "zdb.sock", "--admin-password-file", node.root / "zdb" / "admin")
    assert {row["name"] for row in rows(node, *there)} == {"default", space}
    node.gridlet("zdb", "create", "direct", "--mode", "seq", *there)
    node.gridlet("zdb", "set", "direct", "worm=yes", *there)
    shown = json.loads(node.gridlet("zdb", "info", "direct", "-o", "json", *there).stdout)
    assert (shown["mode"], shown["worm"], shown["public"]) == ("sequential", True, False)
    node.gridlet("zdb", "rm", "--yes", "direct", *there)
    nobody = node.gridlet("zdb", "ls", "--server", node.base / "none.sock", check=False)
    assert nobody.returncode == 1 and "0-db server" in nobody.stderr and "none.sock" in nobody.stderr


def test_the_server_listens_on_tcp_when_told(node, space):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    [before] = servers(node)
    node.options = ["--zdb-listen", f"127.0.0.1:{port}"]
    try:
        node.restart()
        there = ("--server", f"127.0.0.1:{port}", "--admin-password-file", node.root / "zdb" / "admin")
        assert rows(node) and before not in servers(node)  # it was started anew
        assert {row["name"] for row in rows(node, *there)} == {"default", space}
    finally:
        node.options = []
        node.restart()
    assert rows(node)
