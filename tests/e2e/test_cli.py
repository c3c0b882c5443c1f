# SPDX-License-Identifier: Apache-2.0
"""The gridlet command line: a person runs containers with no CRI client at hand."""
import json
import os
import pty
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from test_pods import fetch, free_port

BUSYBOX = "busybox"
NGINX = "nginx"


@pytest.fixture
def name(node):
    """A container name that is free before and after."""
    yield "box"
    node.gridlet("rm", "-f", "box", check=False)


def rows(node, *words):
    return json.loads(node.gridlet(*words, "-o", "json").stdout)


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_run_shows_the_output_and_hands_on_the_exit_code(node):
    done = node.gridlet("run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, "out\n") and "err\n" in done.stderr
    assert rows(node, "ps", "-a") == []


def test_a_detached_container_runs_is_listed_stopped_and_removed(node, name):
    container = node.gridlet("run", "-d", "--name", name, BUSYBOX, "sleep", "1000").stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", container)
    listed = rows(node, "ps")
    assert [(row["id"], row["name"], row["state"]) for row in listed] == [(container, name, "running")]
    assert name in node.gridlet("ps").stdout and name in node.gridlet("pods").stdout
    node.gridlet("stop", "-t", "0", name)
    assert rows(node, "ps") == [] and rows(node, "ps", "-a")[0]["state"] == "exited"
    assert rows(node, "inspect", name)["exit_code"] == 137
    node.gridlet("rm", name)
    assert rows(node, "ps", "-a") == []


def test_a_published_port_answers(node, name):
    port = free_port()
    node.gridlet("run", "-d", "--name", name, "-p", f"{port}:80", NGINX)
    assert "nginx" in fetch(f"http://127.0.0.1:{port}/").lower()
    node.gridlet("rm", "-f", name)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)


def test_volumes_variables_and_the_folder_arrive(node, tmp_path):
    (tmp_path / "seed").write_text("seed\n")
    done = node.gridlet("run", "--rm", "-v", f"{tmp_path}:/data:ro", "-e", "A=b c", "-w", "/data", BUSYBOX,
                        "sh", "-c", 'cat seed; echo "$A $PWD"; touch /data/x || echo refused')
    assert done.stdout == "seed\nb c /data\nrefused\n"


def test_limits_hold(node):
    done = node.gridlet("run", "--rm", "--memory", "16m", "--cpus", "0.5", BUSYBOX, "dd", "if=/dev/zero", "of=/dev/null", "bs=100M",
                        check=False)
    assert done.returncode == 137


def test_logs_follow_until_the_end(node, name):
    node.gridlet("run", "-d", "--name", name, BUSYBOX, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done")
    assert node.gridlet("logs", "-f", name, timeout=30).stdout == "1\n2\n3\n"
    assert node.gridlet("logs", name).stdout == "1\n2\n3\n"


def test_exec_passes_input_output_and_code(node, name):
    node.gridlet("run", "-d", "--name", name, BUSYBOX, "sleep", "1000")
    done = node.gridlet("exec", "-i", name, "sh", "-c", "cat; echo err >&2; exit 5", stdin="typed\n", check=False)
    assert (done.returncode, done.stdout) == (5, "typed\n") and "err" in done.stderr


def test_exec_with_a_terminal_is_on_one(node, name):
    node.gridlet("run", "-d", "--name", name, BUSYBOX, "sleep", "1000")
    master, slave = pty.openpty()
    command = [node.programs / "gridlet", "--run", node.run, "exec", "-it", name, "sh", "-c", "tty; stty size"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        output += data
    assert process.wait(10) == 0 and b"/dev/pts/" in output, output
    os.close(master)


def test_interrupting_run_stops_the_container(node, name):
    command = [node.programs / "gridlet", "--run", node.run, "run", "--rm", "--name", name, BUSYBOX,
               "sh", "-c", "trap 'exit 0' TERM INT; echo up; while :; do sleep 0.1; done"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    process.wait(30)
    wait_for(lambda: rows(node, "ps", "-a") == [])


def test_images_are_pulled_listed_and_removed(node):
    done = node.gridlet("pull", "docker.io/gridlet/plain:1")
    assert re.search("sha256:[0-9a-f]{64}", done.stdout)
    assert "docker.io/gridlet/plain:1" in [tag for image in rows(node, "images") for tag in image["tags"]]
    node.gridlet("rmi", "docker.io/gridlet/plain:1")
    assert "docker.io/gridlet/plain:1" not in [tag for image in rows(node, "images") for tag in image["tags"]]


def test_status_and_version_speak_of_this_node(node):
    status = rows(node, "status")
    assert (status["root"], status["bridge"]) == (str(node.root), node.bridge)
    assert "gridletd" in node.gridlet("version").stdout


@pytest.mark.parametrize("words, says", [
    (["run", "-p", "99999:80", BUSYBOX], "99999:80"),
    (["run", "--memory", "lots", BUSYBOX], "lots"),
    (["run", "--cpus", "-1", BUSYBOX], "-1"),
    (["run", "-v", "relative:/x", BUSYBOX], "relative"),
    (["run", "-v", "/no/such/folder:/x", BUSYBOX], "/no/such/folder"),
    (["run", BUSYBOX, "/no/such/program"], "/no/such/program"),
    (["run", "docker.io/gridlet/no-such-image:1"], "no-such-image"),
    (["run", "UPPER/case"], "UPPER"),
    (["stop", "nobody"], "nobody"),
    (["rm", "nobody"], "nobody"),
    (["exec", "nobody", "true"], "nobody"),
    (["logs", "nobody"], "nobody"),
    (["inspect", "nobody"], "nobody"),
    (["frobnicate"], "frobnicate"),
])
def test_mistakes_are_named_in_one_line_and_leave_nothing(node, words, says):
    done = node.gridlet(*words, check=False)
    assert done.returncode != 0 and says in done.stderr
    assert rows(node, "ps", "-a") == [] and rows(node, "pods") == []


def test_without_a_daemon_the_error_says_how_to_start_one(node, tmp_path):
    done = subprocess.run([node.programs / "gridlet", "--run", tmp_path, "ps"], capture_output=True, text=True)
    assert done.returncode != 0 and "gridletd" in done.stderr and str(tmp_path) in done.stderr


@pytest.mark.parametrize("program", ["gridletd", "gridlet"])
def test_help_and_version_are_answered(programs, program):
    assert "Usage:" in subprocess.run([programs / program, "--help"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([programs / program, "--version"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"\d+\.\d+\.\d+", version)


def test_a_second_daemon_on_the_same_folders_is_refused(node):
    done = subprocess.run(node.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "another gridletd" in done.stderr
