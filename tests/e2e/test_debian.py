# SPDX-License-Identifier: Apache-2.0
"""The release programs on a stock Debian 12: kernel 6.1, cgroup v2 alone, under systemd, in a virtual machine.

The machine is about 16 times slower than the one it runs on, so nothing here looks at times.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from node import mirror_everything

sys.path.insert(0, str(Path(__file__).resolve().parent / "vm"))
from vm import VM  # noqa: E402

HOST_FROM_GUEST = "10.0.2.2"
BUSYBOX = "busybox"


@pytest.fixture(scope="module")
def vm(release_programs, registry, tmp_path_factory):
    """A machine with gridlet installed and its service running."""
    stage = tmp_path_factory.mktemp("stage")
    install = ["cmake", "--install", release_programs.parent, "--strip"]
    subprocess.run(install, check=True, env={**os.environ, "DESTDIR": str(stage)}, stdout=subprocess.DEVNULL)
    port = registry.address.rsplit(":", 1)[1]
    mirror_everything(stage / "etc/gridlet/certs.d", f"{HOST_FROM_GUEST}:{port}")
    with VM(payload={".": stage}) as machine:
        machine.run("cp -a /payload/. / && rm -rf /lost+found && systemctl daemon-reload", timeout_s=120)
        machine.run("systemctl enable --now gridlet || { journalctl -u gridlet -q --no-pager; exit 1; }", timeout_s=120)
        yield machine


def gridlet(vm, words, check=True, timeout_s=300):
    return vm.run(f"gridlet {words}", timeout_s=timeout_s, check=check)


def rows(vm, words):
    return json.loads(gridlet(vm, f"{words} -o json").stdout)


def start(vm, name, script, options=""):
    gridlet(vm, f"run -d --name {name} {options} {BUSYBOX} sh -c '{script}'")
    return rows(vm, f"inspect {name}")


def cgroup_file(vm, container, name):
    return vm.run(f"cat /sys/fs/cgroup{container['runtime']['cgroup']}/{name}").stdout.split()


def test_this_is_debians_kernel_with_cgroup_v2_alone(vm):
    assert vm.run("uname -r").stdout.startswith("6.1.")
    assert vm.run("grep ' cgroup2\\? ' /proc/mounts | cut -d' ' -f3").stdout == "cgroup2\n"


def test_a_container_runs_and_its_exit_code_and_output_come_back(vm):
    done = gridlet(vm, f"run --rm {BUSYBOX} sh -c 'echo out; exit 3'", check=False)
    assert (done.status, done.stdout) == (3, "out\n")
    assert rows(vm, "ps -a") == []


def test_a_pod_reaches_the_world_and_its_port_answers(vm):
    gridlet(vm, "run -d --name web -p 8080:80 nginx")
    fetch = "for i in $(seq 60); do curl -fsS http://127.0.0.1:8080/ && exit 0; sleep 1; done; exit 1"
    assert "nginx" in vm.run(fetch, timeout_s=180).stdout.lower()
    gridlet(vm, "rm -f web")


def test_limits_are_written_and_hold(vm):
    container = start(vm, "limited", "sleep 100000", "--memory 64m --cpus 0.5")
    assert cgroup_file(vm, container, "memory.max") == [str(64 << 20)]
    assert cgroup_file(vm, container, "cpu.max") == ["50000", "100000"]
    gridlet(vm, "rm -f limited")


def test_memory_beyond_the_limit_is_told_as_oomkilled(vm):
    done = gridlet(vm, f"run --name greedy --memory 16m {BUSYBOX} dd if=/dev/zero of=/dev/null bs=100M", check=False)
    assert done.status == 137
    ended = rows(vm, "inspect greedy")
    assert (ended["exit_code"], ended["reason"]) == (137, "OOMKilled")
    gridlet(vm, "rm greedy")


def test_forty_layers_are_one_root(vm):
    assert gridlet(vm, "run --rm docker.io/gridlet/layers40:1").status == 0


def test_a_killed_daemon_loses_neither_log_nor_exit_code(vm):
    start(vm, "counter", "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.2; done; exit 7")
    vm.run("kill -9 $(cat /run/gridlet/gridletd.lock)")
    vm.run("for i in $(seq 120); do gridlet status >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1", timeout_s=120)
    done = vm.run("for i in $(seq 120); do gridlet inspect counter | grep -q '\"exited\"' && exit 0; sleep 0.5; done; exit 1",
                  timeout_s=180, check=False)
    ended = rows(vm, "inspect counter")
    assert (done.status, ended["exit_code"]) == (0, 7), ended
    assert gridlet(vm, "logs counter").stdout == "".join(f"line {i}\n" for i in range(40))
    gridlet(vm, "rm counter")


def test_restarting_the_service_leaves_containers_alone(vm):
    before = start(vm, "steady", "sleep 100000")
    vm.run("systemctl restart gridlet", timeout_s=120)
    after = rows(vm, "inspect steady")
    assert (after["state"], after["runtime"]["pid"]) == ("running", before["runtime"]["pid"])
    assert gridlet(vm, "exec steady echo alive").stdout == "alive\n"
    gridlet(vm, "rm -f steady")


def test_after_a_power_cut_everything_is_told_as_ended_and_can_be_removed(vm):
    start(vm, "victim", "sleep 100000")
    images = rows(vm, "images")
    vm.power_cut()
    vm.start()
    vm.run("systemctl is-active gridlet || systemctl status gridlet; gridlet status", timeout_s=120)
    ended = rows(vm, "inspect victim")
    assert ended["state"] == "exited" and ended["reason"]
    assert [pod["state"] for pod in rows(vm, "pods")] == ["notready"]
    assert rows(vm, "images") == images
    assert vm.run("grep /var/lib/gridlet/ /proc/mounts", check=False).stdout == ""
    gridlet(vm, "rm victim")
    assert gridlet(vm, f"run --rm {BUSYBOX} echo again").stdout == "again\n"


def test_nothing_is_left_at_the_end(vm):
    assert rows(vm, "ps -a") == rows(vm, "pods") == []
    vm.run("systemctl stop gridlet", timeout_s=120)
    assert vm.run("pgrep -a gridlet-shim", check=False).stdout == ""
    assert vm.run("find /sys/fs/cgroup/gridlet -mindepth 1 -type d", check=False).stdout == ""
    assert vm.run("ip -br link show master gridlet0", check=False).stdout == ""
    assert "ERROR" not in vm.run("journalctl -u gridlet -p err --no-pager -q", check=False).stdout
