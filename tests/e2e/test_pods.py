# SPDX-License-Identifier: Apache-2.0
"""The life of pods and containers as crictl sees it: states, exits, logs, exec, limits, files, network."""
import json
import re
import socket
import subprocess
import time
import urllib.request

import pytest
from crictl import BUSYBOX, CriError

NGINX = "registry.k8s.io/e2e-test-images/nginx:1.14-2"


def free_port():
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


def fetch(url, seconds=20):
    """The body, once the server in the pod listens."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# ---- life cycle ----


def test_a_pod_goes_from_ready_to_notready_to_gone(cri):
    pod = cri.run_pod("life", labels={"app": "x"}, annotations={"note": 'a "quoted" \\ one'})
    status = cri.pod_status(pod)
    assert status["state"] == "SANDBOX_READY"
    assert status["metadata"] == {**pod.config["metadata"], "attempt": 0}
    assert (status["labels"], status["annotations"]) == ({"app": "x"}, {"note": 'a "quoted" \\ one'})
    assert re.fullmatch(r"10\.\d+\.\d+\.\d+", status["network"]["ip"])
    assert cri.words("pods", "-q", "--no-trunc", "--label", "app=x") == [pod.id]
    cri.call("stopp", pod.id)
    assert cri.pod_status(pod)["state"] == "SANDBOX_NOTREADY"
    cri.call("stopp", pod.id)
    cri.call("rmp", pod.id)
    assert pod.id not in cri.words("pods", "-q", "--no-trunc")


def test_a_container_goes_from_created_to_running_to_exited_to_gone(cri, pod):
    container = cri.create(pod, ["sh", "-c", "exit 3"])
    assert cri.status(container)["state"] == "CONTAINER_CREATED"
    cri.call("start", container)
    status = cri.wait_exit(container)
    assert (status["exitCode"], status["reason"]) == (3, "Error")
    assert status["createdAt"] <= status["startedAt"] <= status["finishedAt"]
    cri.call("rm", container)
    assert container not in cri.words("ps", "-aq", "--no-trunc")


def test_success_is_completed(cri, pod):
    status, _ = cri.finish(pod, ["true"])
    assert (status["exitCode"], status["reason"]) == (0, "Completed")


def test_a_signal_is_told_as_128_and_its_number(cri, pod):
    status, _ = cri.finish(pod, ["sh", "-c", "kill -9 $$; sleep 10"])
    assert status["exitCode"] == 137 and status["reason"] == "Error"


def test_stop_asks_first_and_kills_after_the_grace_time(cri, pod):
    polite = cri.start(pod, ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"])
    deaf = cri.start(pod, ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
    time.sleep(0.3)  # until the traps are set
    cri.call("stop", "--timeout", 20, polite)
    assert cri.status(polite)["exitCode"] == 5
    begun = time.monotonic()
    cri.call("stop", "--timeout", 1, deaf)
    assert cri.status(deaf)["exitCode"] == 137 and time.monotonic() - begun < 10


def test_removing_a_pod_removes_what_runs_in_it(cri):
    pod = cri.run_pod()
    container = cri.start(pod)
    cri.call("rmp", "-f", pod.id)
    assert container not in cri.words("ps", "-aq", "--no-trunc")


def test_the_same_pod_cannot_be_made_twice_at_once(cri, pod):
    path = pod.config_path
    first = pod.id
    again = cri.call("runp", path, check=False)
    assert again.code != 0 or again.out.strip() == first


def test_a_missing_program_is_named(cri, pod):
    container = cri.create(pod, ["/no/such/program"])
    with pytest.raises(CriError, match=r"/no/such/program.*[Nn]o such file"):
        cri.call("start", container)


def test_unknown_ids_are_named_and_removing_them_is_fine(cri):
    unknown = "f" * 64
    with pytest.raises(CriError, match="NotFound.*ffff"):
        cri.call("inspect", unknown)
    with pytest.raises(CriError, match="NotFound.*ffff"):
        cri.call("inspectp", unknown)


def test_absurd_limits_are_refused_by_name_and_leave_nothing(cri, pod):
    before = cri.words("ps", "-aq")
    with pytest.raises(CriError, match="cpu"):
        cri.create(pod, linux={"resources": {"cpu_quota": -5000, "cpu_period": 3}})
    with pytest.raises(CriError, match="oom_score_adj"):
        cri.create(pod, linux={"resources": {"oom_score_adj": 5000}})
    assert cri.words("ps", "-aq") == before


# ---- logs ----


def test_every_byte_of_both_streams_is_in_the_log_in_cri_format(cri, pod):
    container = cri.start(pod, ["sh", "-c", "echo out; echo err >&2; printf 'no end'"])
    path = cri.wait_exit(container)["logPath"]
    lines = open(path).read().split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)"
    assert re.fullmatch(stamp + " stdout F out", lines[0])
    assert sorted(line.split(" ", 1)[1] for line in lines if line) == ["stderr F err", "stdout F out", "stdout P no end"] or \
        sorted(line.split(" ", 1)[1] for line in lines if line) == ["stderr F err", "stdout F no end", "stdout F out"]


def test_a_megabyte_in_long_lines_is_complete(cri, pod):
    script = "i=0; while [ $i -lt 16 ]; do head -c 65535 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done"
    _, log = cri.finish(pod, ["sh", "-c", script])
    assert log == ("x" * 65535 + "\n") * 16


def test_reopening_a_log_goes_on_in_a_new_file(cri, pod):
    container = cri.start(pod, ["sh", "-c", "while :; do echo tick; sleep 0.05; done"])
    path = cri.status(container)["logPath"]
    deadline = time.monotonic() + 10
    while not open(path).read() and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(["mv", path, path + ".1"], check=True)
    cri.call("logs", "--reopen", container) if "--reopen" in cri.call("logs", "--help").out else cri.call("logs", "-r", container)
    size = len(open(path + ".1").read())
    deadline = time.monotonic() + 10
    while not open(path).read() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert open(path).read() and len(open(path + ".1").read()) == size


# ---- exec ----


def test_exec_returns_both_streams_and_the_exit_code(cri, pod):
    container = cri.start(pod)
    done = cri.exec(container, "sh", "-c", "echo out; echo err >&2")
    assert done.code == 0 and done.out.split() == ["out", "err"]  # crictl prints one after the other
    done = cri.exec(container, "sh", "-c", "echo err >&2; exit 7")
    assert done.code == 7 and "err" in done.err


def test_exec_that_takes_too_long_is_killed_and_the_container_lives(cri, pod):
    container = cri.start(pod)
    with pytest.raises(CriError, match="DeadlineExceeded|timed out|timeout"):
        cri.exec(container, "sleep", "77", timeout=1)
    assert "sleep 77" not in cri.shell(container, "ps")
    assert cri.status(container)["state"] == "CONTAINER_RUNNING"


def test_exec_of_a_missing_program_and_in_a_stopped_container_fail_clearly(cri, pod):
    container = cri.start(pod)
    with pytest.raises(CriError, match="nothing-of-this-name"):
        cri.exec(container, "nothing-of-this-name")
    cri.call("stop", "--timeout", 0, container)
    with pytest.raises(CriError, match="not running|exited|is not"):
        cri.exec(container, "true")


def test_exec_output_beyond_what_a_client_accepts_is_cut_without_an_error(cri, pod):
    container = cri.start(pod)
    done = cri.exec(container, "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' y")
    assert done.code == 0 and done.out.rstrip("\n") == "y" * ((16 << 20) - 4096)


# ---- resources ----


def test_memory_limits_kill_and_say_so(cri, pod):
    container = cri.start(pod, ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M"],
                          linux={"resources": {"memory_limit_in_bytes": 20 << 20, "memory_swap_limit_in_bytes": 20 << 20}})
    status = cri.wait_exit(container, 60)
    assert (status["reason"], status["exitCode"]) == ("OOMKilled", 137)


def test_limits_can_be_changed_while_it_runs(cri, pod):
    container = cri.start(pod, linux={"resources": {"memory_limit_in_bytes": 64 << 20, "cpu_shares": 512}})
    cri.call("update", "--memory", 128 << 20, "--cpu-share", 1024, container)
    resources = cri.status(container)["resources"]["linux"]
    assert (int(resources["memoryLimitInBytes"]), int(resources["cpuShares"])) == (128 << 20, 1024)


def test_stats_of_a_busy_container_grow(cri, pod):
    container = cri.start(pod, ["sh", "-c", "while :; do :; done"])
    first = cri.json("stats", "--id", container)["stats"][0]
    time.sleep(0.3)
    second = cri.json("stats", "--id", container)["stats"][0]
    assert int(second["cpu"]["usageCoreNanoSeconds"]["value"]) > int(first["cpu"]["usageCoreNanoSeconds"]["value"]) > 0
    assert int(second["memory"]["workingSetBytes"]["value"]) > 0
    cri.call("stop", "--timeout", 0, container)


# ---- files ----


def test_mounts_are_bound_read_write_or_read_only(cri, pod, tmp_path):
    (tmp_path / "rw").mkdir()
    (tmp_path / "ro").mkdir()
    (tmp_path / "ro" / "seed").write_text("from the node\n")
    mounts = [{"host_path": str(tmp_path / "rw"), "container_path": "/rw"},
              {"host_path": str(tmp_path / "ro"), "container_path": "/ro", "readonly": True}]
    script = "cat /ro/seed; echo x >/ro/new || echo refused; echo back >/rw/new"
    _, log = cri.finish(pod, ["sh", "-c", script], mounts=mounts)
    assert log.startswith("from the node\n") and "refused" in log
    assert (tmp_path / "rw" / "new").read_text() == "back\n"


def test_a_mount_whose_source_is_missing_is_refused_by_name(cri, pod):
    with pytest.raises(CriError, match="/no/such/source"):
        cri.create(pod, mounts=[{"host_path": "/no/such/source", "container_path": "/x"}])


def test_environment_and_working_folder_arrive(cri, pod):
    envs = [{"key": "A", "value": "b c=d"}, {"key": "EMPTY", "value": ""}]
    _, log = cri.finish(pod, ["sh", "-c", 'pwd; echo "[$A][$EMPTY]"'], envs=envs, working_dir="/tmp")
    assert log == "/tmp\n[b c=d][]\n"


# ---- network ----


def test_pods_reach_each_other_and_know_their_names(cri, pod):
    server = cri.run_pod("server", hostname="server-name")
    web = cri.start(server, None, image=NGINX)
    address = cri.pod_status(server)["network"]["ip"]
    client = cri.start(pod)
    deadline = time.monotonic() + 20
    while cri.exec(client, "wget", "-qO-", "-T", "2", f"http://{address}/").code != 0:
        assert time.monotonic() < deadline
    assert "nginx" in cri.shell(client, f"wget -qO- http://{address}/").lower()
    assert cri.shell(web, "hostname") == "server-name"
    assert re.search(rf"^{re.escape(address)}\s+server-name", cri.shell(web, "cat /etc/hosts"), re.MULTILINE)
    cri.remove_pod(server)


def test_host_ports_answer_on_the_loopback_and_on_the_node(cri):
    port = free_port()
    pod = cri.run_pod(port_mappings=[{"protocol": 0, "container_port": 80, "host_port": port}])
    cri.start(pod, None, image=NGINX)
    assert "nginx" in fetch(f"http://127.0.0.1:{port}/").lower()
    own = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    node = next(address for address in own if re.fullmatch(r"\d+(\.\d+){3}", address))
    assert "nginx" in fetch(f"http://{node}:{port}/").lower()
    cri.remove_pod(pod)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)


def test_a_taken_host_port_is_refused_and_names_its_holder(cri):
    port = free_port()
    first = cri.run_pod(port_mappings=[{"container_port": 80, "host_port": port}])
    with pytest.raises(CriError, match=str(port)):
        cri.run_pod(port_mappings=[{"container_port": 80, "host_port": port}])
    cri.remove_pod(first)
    second = cri.run_pod(port_mappings=[{"container_port": 80, "host_port": port}])
    cri.remove_pod(second)


def test_dns_settings_are_written_as_given(cri):
    pod = cri.run_pod(dns_config={"servers": ["10.9.8.7"], "searches": ["a.example", "b.example"], "options": ["ndots:3"]})
    _, text = cri.finish(pod, ["cat", "/etc/resolv.conf"])
    assert text.split("\n")[:-1] == ["search a.example b.example", "nameserver 10.9.8.7", "options ndots:3"]
    cri.remove_pod(pod)


def test_host_network_is_the_nodes_own(cri):
    pod = cri.run_pod(linux={"security_context": {"namespace_options": {"network": 2}}})
    _, links = cri.finish(pod, ["ls", "/sys/class/net"],
                          linux={"security_context": {"namespace_options": {"network": 2}}})
    assert set(subprocess.run(["ls", "/sys/class/net"], capture_output=True, text=True).stdout.split()) >= set(links.split()[:2])
    assert "eth0" in links or "lo" in links
    cri.remove_pod(pod)


def test_ipv6_reaches_from_pod_to_pod(cri, pod):
    other = cri.run_pod("six")
    more = cri.pod_status(other)["network"].get("additionalIps", [])
    if not more:
        pytest.skip("the kernel gives pods no IPv6")
    container = cri.start(pod)
    assert cri.exec(container, "ping", "-6", "-c", "1", "-W", "5", more[0]["ip"]).code == 0
    cri.remove_pod(other)


# ---- the node ----


def test_the_node_says_what_it_is(cri):
    info = json.loads(cri.call("info").out)
    conditions = {c["type"]: c["status"] for c in info["status"]["conditions"]}
    assert conditions["RuntimeReady"] and conditions["NetworkReady"]
    assert "RuntimeApiVersion:  v1" in cri.call("version").out
    assert "CGROUPFS" in cri.call("runtime-config").out


def test_many_pods_at_once(cri):
    """Ten at a time, as a kubelet after its own restart."""
    configs = [cri._write(f"many{i}", cri.pod_config(f"many{i}")) for i in range(10)]
    command = [cri.program, "--config", cri.config, "runp"]
    running = [subprocess.Popen([*command, path], stdout=subprocess.PIPE, text=True) for path in configs]
    ids = [process.communicate(timeout=120)[0].strip() for process in running]
    assert all(process.returncode == 0 for process in running) and len(set(ids)) == 10
    addresses = {json.loads(cri.call("inspectp", "-o", "json", i).out)["status"]["network"]["ip"] for i in ids}
    assert len(addresses) == 10
    cri.call("rmp", "-f", *ids)


def test_busybox_came_from_the_registry(cri):
    tags = [tag for image in cri.json("images")["images"] for tag in image["repoTags"]]
    assert BUSYBOX in tags


# ---- nodes side by side ----


def test_a_second_node_on_the_same_range_does_not_start_and_says_whose_it_is(node, make_node, registries):
    second = make_node(registries)
    second.cidr, own = node.cidr, second.cidr
    try:
        with pytest.raises(RuntimeError) as refused:
            second.start()
        assert node.bridge in str(refused.value) and str(node.run) in str(refused.value), refused.value
        assert "another --pod-cidr" in str(refused.value)
        assert not second.has_bridge()
        second.cidr = own
        second.start()
    finally:
        second.destroy()
