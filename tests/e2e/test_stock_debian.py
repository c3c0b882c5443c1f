# SPDX-License-Identifier: Apache-2.0
"""The release programs on what people have: Debian 12's own kernel 6.1 and systemd, cgroup v2 alone, AppArmor, every
capability. One machine for the module (it runs 16 times slower than this one); the last test cuts its power."""
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent / "vm"))

from crictl import CriError  # noqa: E402
from guest import Guest, GuestCrictl  # noqa: E402

BUSYBOX = "busybox"
LAYERS40 = "docker.io/gridlet/layers40:1"
DEFAULT_CAPABILITIES = 0xA80425FB
COUNT_UNTIL_STOPPED = 'i=0; while [ ! -e /stop ]; do echo line $i; i=$((i + 1)); sleep 0.1; done; echo end'
FETCH = r'exec 3<>/dev/tcp/{}/8080; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'  # bash's


@pytest.fixture(scope="module")
def guest(release_programs, registry, cri_tools, tmp_path_factory):
    began = time.monotonic()
    scratch = tmp_path_factory.mktemp("guest")
    with Guest(release_programs.parent, registry, cri_tools, scratch) as guest:
        print(f"the service is up after {time.monotonic() - began:.1f} s")
        yield guest


@pytest.fixture(scope="module")
def cri(guest):
    return GuestCrictl(guest)


@pytest.fixture(autouse=True)
def timing(request, capsys):
    began = time.monotonic()
    yield
    with capsys.disabled():
        print(f"  [{request.node.name}: {time.monotonic() - began:.1f} s]", flush=True)


@pytest.fixture
def name(guest):
    """A container name that is free before and after."""
    yield "box"
    guest.gridlet("rm", "-f", "box", check=False)


def status_of(text, key):
    return re.search(rf"^{key}:\s*(.*)$", text, re.MULTILINE).group(1)


def test_this_is_stock_debian_with_cgroup_v2_alone(guest):
    assert guest.out("uname -r").startswith("6.1.0-")
    assert guest.out("stat -fc %T /sys/fs/cgroup") == "cgroup2fs"
    assert guest.out("grep -c ' cgroup ' /proc/mounts || true") == "0"
    assert guest.out("cat /sys/module/apparmor/parameters/enabled") == "Y"


def test_the_service_is_ready_in_a_delegated_cgroup_of_its_own(guest):
    shown = guest.out("systemctl show -p ActiveState,SubState,Delegate,KillMode,NRestarts gridlet")
    assert set(shown.split("\n")) == {"ActiveState=active", "SubState=running", "Delegate=yes", "KillMode=process", "NRestarts=0"}
    assert guest.out(f"cat /proc/{guest.daemon()}/cgroup") == "0::/system.slice/gridlet.service"
    assert guest.rows("status")["root"] == "/var/lib/gridlet"
    controllers = guest.out("cat /sys/fs/cgroup/gridlet/cgroup.subtree_control").split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(controllers)


PING = r'exec 3<>/dev/tcp/127.0.0.1/9900; printf "*1\r\n\$4\r\nPING\r\n" >&3; head -c 5 <&3'  # bash's


def test_0_db_servers_run_as_a_user_of_their_own(guest):
    """The unit's, and the node's, which root starts."""
    guest.run("systemd-sysusers && systemctl start gridlet-zdb")
    try:
        assert guest.out(f"bash -c {shlex.quote(PING)}") == "+PONG"
        guest.gridlet("zdb", "create", "photos", "--size", "1M")
        users = guest.out("for pid in $(pidof gridlet-zdb); do awk '/^Uid:/ {print $3}' /proc/$pid/status; done").split()
        assert len(users) >= 2 and set(users) == {guest.out("id -u gridlet-zdb")}
        guest.run("systemctl restart gridlet-zdb")
        assert [row["name"] for row in guest.rows("zdb", "ls")] == ["photos"]
        guest.gridlet("zdb", "rm", "--yes", "photos")
    finally:
        guest.run("systemctl stop gridlet-zdb; journalctl -u gridlet-zdb -o cat | tail -n 20", check=False)


def test_the_systemd_cgroup_driver_is_refused(guest):
    refused = guest.run("gridletd --cgroup-driver systemd --root /tmp/r --run /tmp/s", check=False)
    assert refused.status == 1 and "cgroup-driver 'cgroupfs'" in refused.stderr, refused


def test_an_image_of_40_layers_is_pulled_and_finds_its_content_right(guest):
    assert re.search("sha256:[0-9a-f]{64}", guest.gridlet("pull", LAYERS40).stdout)
    done = guest.gridlet("run", "--rm", LAYERS40, check=False)
    assert done.status == 0, done


def test_a_pod_runs_hands_on_its_exit_code_and_reaches_the_network(guest):
    script = f"echo out; echo err >&2; ping -c 1 -W 5 10.88.0.1 >&2 && wget -qO- http://{guest.registry}/v2/ >&2 && exit 3"
    done = guest.gridlet("run", "--rm", BUSYBOX, "sh", "-c", script, check=False)
    assert (done.status, done.stdout) == (3, "out\n") and "err\n" in done.stderr, done


def test_a_published_port_answers_on_the_node_and_on_127_0_0_1(guest, name):
    serve = "mkdir /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www"
    guest.gridlet("run", "-d", "--name", name, "-p", "8080:80", BUSYBOX, "sh", "-c", serve)
    for address in ("127.0.0.1", "10.0.2.15"):
        guest.wait(f"timeout 5 bash -c '{FETCH.format(address)}' | grep -q hello")
    guest.gridlet("rm", "-f", name)
    refused = guest.run(f"timeout 5 bash -c '{FETCH.format('127.0.0.1')}'", check=False)
    assert refused.status != 0 and "refused" in refused.stderr


def test_limits_are_in_the_cgroup_and_change_with_an_update(guest, cri):
    pod = cri.run_pod()
    limits = {"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000, "cpu_shares": 512,
              "unified": {"pids.max": "20"}}
    container = cri.start(pod, linux={"resources": limits})
    files = f"cd {guest.cgroup(container)}; cat memory.max cpu.max pids.max cpu.weight"
    assert guest.out(files).split("\n") == [str(64 << 20), "50000 100000", "20", "59"]
    cri.call("update", "--memory", 96 << 20, "--cpu-quota", 25000, container)
    assert guest.out(files).split("\n")[:3] == [str(96 << 20), "25000 100000", "20"]
    assert "fork" in cri.exec(container, "sh", "-c", "for i in $(seq 30); do sleep 1 & done").err
    stats = cri.json("stats", "--id", container)["stats"][0]
    assert int(stats["memory"]["workingSetBytes"]["value"]) > 0 and int(stats["cpu"]["usageCoreNanoSeconds"]["value"]) > 0
    cri.remove_pod(pod)


def test_a_container_over_its_memory_is_oom_killed(guest, name):
    guest.gridlet("run", "-d", "--name", name, "--memory", "16m", BUSYBOX, "dd", "if=/dev/zero", "of=/dev/null", "bs=100M")
    guest.wait(f"gridlet inspect {name} -o json | grep -q exited")
    inspected = guest.rows("inspect", name)
    assert (inspected["exit_code"], inspected["reason"]) == (137, "OOMKilled")


def test_an_oom_kill_beside_the_first_process_does_not_end_the_container(guest, name):
    hog = "dd if=/dev/zero of=/dev/null bs=100M; echo hog $?; sleep 1000"
    guest.gridlet("run", "-d", "--name", name, "--memory", "16m", BUSYBOX, "sh", "-c", hog)
    guest.wait(f"gridlet logs {name} | grep -q 'hog 137'")
    assert guest.rows("inspect", name)["state"] == "running"


def test_a_container_is_confined_by_seccomp_capabilities_and_no_devices(guest):
    script = "cat /proc/self/status; mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk; echo code $?; unshare -U true; echo code $?"
    done = guest.gridlet("run", "--rm", BUSYBOX, "sh", "-c", script, check=False)
    assert status_of(done.stdout, "Seccomp") == "2"
    assert int(status_of(done.stdout, "CapEff"), 16) == int(status_of(done.stdout, "CapBnd"), 16) == DEFAULT_CAPABILITIES
    assert re.findall("code (.*)", done.stdout) == ["1", "1"] and "head: /tmp/disk: Operation not permitted" in done.stderr, done


def test_a_container_is_confined_by_the_default_apparmor_profile(guest, cri):
    assert "gridlet-default (enforce)" in guest.out("cat /sys/kernel/security/apparmor/profiles")
    script = ("exec 2>/dev/null; cat /proc/self/attr/current; echo x >/tmp/f && cat /tmp/f; mkdir /m; "
              f"mount -t tmpfs none /m && echo mounted; wget -qO- http://{guest.registry}/v2/ && echo; echo end")
    pod = cri.run_pod()
    rights = {"capabilities": {"add_capabilities": ["SYS_ADMIN"]}, "seccomp": {"profile_type": 1}}
    container = cri.start(pod, linux={"security_context": {**rights, "apparmor": {"profile_type": 0}}})
    bare = cri.start(pod, linux={"security_context": {**rights, "apparmor": {"profile_type": 1}}})
    assert cri.shell(container, script).split("\n") == ["gridlet-default (enforce)", "x", "{}", "end"]
    assert cri.shell(bare, script).split("\n") == ["unconfined", "x", "mounted", "{}", "end"]
    assert cri.shell(container, "sleep 1000 & kill $! && echo killed") == "killed"
    assert "Permission denied" in cri.exec(container, "kill", "-0", "1").err  # the pod's reaper is none of ours
    cri.call("stop", "--timeout", 5, container)
    cri.remove_pod(pod)


def test_the_apparmor_profile_is_loaded_once_and_left_alone(guest):
    loaded = "cat /sys/kernel/security/apparmor/policy/profiles/gridlet-default*/sha1"
    own = "profile gridlet-default { file, signal, }"
    guest.vm.put("/root/own", own + "\n")
    guest.run("apparmor_parser -r -K /root/own")
    before = guest.out(loaded)
    guest.run("systemctl restart gridlet")
    assert guest.out(loaded) == before
    guest.run("apparmor_parser -R /root/own && systemctl restart gridlet")
    assert guest.out(loaded) != before


def test_critests_specs_of_apparmor_pass(guest):
    passed, failed, text = guest.critest("AppArmor", timeout_s=300)
    assert (passed, failed) == (9, 0), text


def test_exec_passes_input_output_and_code(guest, name):
    guest.gridlet("run", "-d", "--name", name, BUSYBOX, "sleep", "1000")
    done = guest.run(f"echo typed | gridlet exec -i {name} sh -c 'cat; cat /proc/self/cgroup; exit 5'", check=False)
    assert done.status == 5 and done.stdout.startswith("typed\n"), done


def test_an_exec_that_takes_too_long_is_killed_whole(guest, cri):
    pod = cri.run_pod()
    container = cri.start(pod)
    with pytest.raises(CriError, match="DeadlineExceeded|timed out|timeout"):
        cri.exec(container, "sh", "-c", "sleep 77 & sleep 77", timeout=2)
    assert "sleep 77" not in cri.shell(container, "ps")
    cri.remove_pod(pod)


def follow_over(guest, name, interrupt):
    """Starts a container that writes lines, does something to the daemon, and looks whether the container noticed."""
    guest.gridlet("run", "-d", "--name", name, BUSYBOX, "sh", "-c", COUNT_UNTIL_STOPPED)
    before, first = guest.daemon(), guest.pid(name)
    interrupt(before)
    assert guest.wait_service(other_than=before) != before
    assert (guest.rows("inspect", name)["state"], guest.pid(name)) == ("running", first) and first != 0
    guest.gridlet("exec", name, "touch", "/stop")
    guest.wait(f"gridlet inspect {name} -o json | grep -q exited")
    assert guest.rows("inspect", name)["exit_code"] == 0
    lines = guest.gridlet("logs", name).stdout.split("\n")
    assert lines == [f"line {i}" for i in range(len(lines) - 2)] + ["end", ""]


def test_a_killed_daemon_is_restarted_and_no_container_notices(guest, name):
    follow_over(guest, name, lambda pid: guest.run(f"kill -9 {pid}"))


def test_restarting_the_service_leaves_pods_alone(guest, name):
    follow_over(guest, name, lambda pid: guest.run("systemctl restart gridlet"))


def test_a_container_that_ends_while_the_daemon_is_down_keeps_its_code(guest, name):
    guest.gridlet("run", "-d", "--name", name, BUSYBOX, "sh", "-c", "while [ ! -e /stop ]; do sleep 0.1; done; exit 42")
    first = guest.pid(name)
    guest.run(f"systemctl stop gridlet; touch /proc/{first}/root/stop; until [ ! -e /proc/{first} ]; do sleep 0.1; done; "
              "systemctl start gridlet")
    assert guest.rows("inspect", name)["exit_code"] == 42


def test_removed_pods_leave_nothing(guest, name):
    guest.gridlet("run", "-d", "--name", name, "-p", "8080:80", BUSYBOX, "sleep", "1000")
    assert any(guest.traces())
    guest.gridlet("stop", "-t", "0", name)
    guest.gridlet("rm", name)
    assert guest.rows("pods") == []
    guest.wait_no_traces()


def test_after_a_power_cut_pods_are_down_images_whole_and_new_containers_start(guest, name):
    guest.gridlet("run", "-d", "--name", name, "-p", "8080:80", BUSYBOX, "sleep", "1000")
    guest.gridlet("pull", LAYERS40)
    guest.power_cut()
    assert LAYERS40 in [tag for image in guest.rows("images") for tag in image["tags"]]
    assert [pod["state"] for pod in guest.rows("pods")] == ["notready"]
    inspected = guest.rows("inspect", name)
    assert inspected["state"] == "exited" and inspected["exit_code"] != 0 and inspected["reason"], inspected
    guest.gridlet("rm", name)
    guest.wait_no_traces()
    assert guest.gridlet("run", "--rm", LAYERS40, check=False).status == 0
    done = guest.gridlet("run", "--rm", "-p", "8080:80", BUSYBOX, "ping", "-c", "1", "-W", "5", "10.88.0.1")
    assert "1 packets received" in done.stdout
