# SPDX-License-Identifier: Apache-2.0
"""Daemons, shims and unpackers are killed at any moment; afterwards everything is there that should be, and nothing else.

GRIDLET_SEED names the seed of a run that is to be repeated; each test prints its own."""
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from crictl import BUSYBOX
from survival.inventory import compare_all, pids_of, shims, state_of, unified
from survival.killer import Killer, kill
from survival.lives import Client, Life, ShimKilled, check, log_problem
from survival.steps import kill_at, steps_of_a_life

PODS = 50
HANDS = 6  # clients at work at a time
KILLS = {"daemon": 60, "shim": 30, "unpacker": 12}
SOAK_RUNS = 20
ADOPTED = 200
LAYERED = "docker.io/gridlet/layers40:1"
FIRST_HOST_PORT = 20000
LOG_BYTES = 60000  # of the daemon's log, shown with a failure


@pytest.fixture
def seed():
    chosen = int(os.environ.get("GRIDLET_SEED", "0")) or secrets.randbelow(1 << 31)
    print(f"seed {chosen}")
    return chosen


@pytest.fixture
def client(node, cri):
    """At the end of the test everything is removed, and nothing of it may be left."""
    if cri.call("inspecti", BUSYBOX, check=False).code != 0:
        cri.call("pull", BUSYBOX)
    client = Client(cri)
    yield client
    if node.process is None:
        node.start()
    if client.over.is_set():
        print(node.log()[-LOG_BYTES:])
        print(json.dumps({"pods": client.pods(), "containers": client.containers()}, indent=1))
    client.over.clear()
    for pod in client.pods():
        client.insist("rmp", "-f", pod, settled="not found")
    compare_all(node, client)


def in_threads(client, work, items):
    """work(item) for all of them, HANDS at a time; the first error ends it."""
    queue, errors = list(reversed(items)), []

    def hand():
        while queue and not client.over.is_set():
            try:
                work(queue.pop())
            except IndexError:
                return
            except BaseException as error:
                errors.append(error)
                client.over.set()

    threads = [threading.Thread(target=hand) for _ in range(HANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def live(life):
    """Makes it and fills it until no killed shim is in the way."""
    while True:
        life.make()
        try:
            life.fill()
            life.use()
            return
        except ShimKilled:
            life.remove()


# ---- churn ----


def churn(life, killer, chance):
    """One life after the other while there is killing; begins and ends with a live pod."""
    while killer.is_alive():
        try:
            if chance.random() < 0.3:
                life.use()
            life.check_short()
        except ShimKilled:
            pass
        life.end()
        live(life)


def pull_and_remove(client, killer, errors):
    """Keeps unpackers busy. A pull whose unpacker or daemon was killed fails or is whole; never in between."""
    try:
        while killer.is_alive() and not client.over.is_set():
            client.cri.call("pull", LAYERED, check=False)
            client.cri.call("rmi", LAYERED, check=False)
    except BaseException as error:
        errors.append(error)
        client.over.set()


def run_churn(node, client, seed):
    killer, errors = Killer(node, client, seed, KILLS), []
    puller = threading.Thread(target=pull_and_remove, args=(client, killer, errors))
    lives = [Life(client, f"s{seed}-{n}", n, FIRST_HOST_PORT + n if n % 5 == 0 else 0) for n in range(PODS)]
    killer.start()
    puller.start()
    try:
        in_threads(client, live, lives)
        chance = random.Random(seed)
        in_threads(client, lambda life: churn(life, killer, chance), lives[:HANDS])
    finally:
        killer.join()
        puller.join()
    if killer.error or errors:
        raise killer.error or errors[0]
    print(f"killed: {killer.done}")
    assert sum(killer.done.values()) >= 100
    client.insist("pull", LAYERED)
    client.insist("rmi", LAYERED)
    pods, containers = client.pods(), client.containers()
    assert set(pods) == {life.pod.id for life in lives}
    assert set(containers) == {c for life in lives for c in (life.short, life.long) if c}
    in_threads(client, lambda life: life.check_running(pods, containers), lives)
    ports = {life.host_port for life in lives if life.host_port and life.pod.id not in client.killed}
    compare_all(node, client, ports)
    in_threads(client, lambda life: life.end(), lives)
    compare_all(node, client)
    assert node.sanitizer_reports() == []


def test_nothing_is_lost_or_left_by_a_hundred_kills_under_churn(node, client, seed):
    run_churn(node, client, seed)


@pytest.mark.soak
@pytest.mark.parametrize("run", range(SOAK_RUNS))
def test_nothing_is_lost_or_left_by_kills_in_run(node, client, seed, run):
    run_churn(node, client, seed)


# ---- a kill before each system call that changes something ----

ROUNDS = 40  # of all steps; the soak takes every one


@pytest.fixture
def one_worker(node):
    """With one worker the n-th call of a thread is the same step in each run."""
    node.stop()
    node.options += ["--workers", "1"]
    node.start()
    yield
    del node.options[-2:]


def run_steps(node, client, tmp_path, chosen):
    total = steps_of_a_life(node, client, tmp_path / "strace")
    deaths = sum(kill_at(node, client, when, tmp_path / "strace") for when in chosen(total))
    print(f"{total} steps, {deaths} deaths")
    assert deaths > 0


def test_a_daemon_killed_before_a_step_is_followed_by_one_that_goes_on(node, client, one_worker, tmp_path):
    run_steps(node, client, tmp_path, lambda total: range(1, total + 1, max(1, total // ROUNDS)))


@pytest.mark.soak
def test_a_daemon_killed_before_any_step_is_followed_by_one_that_goes_on(node, client, one_worker, tmp_path):
    run_steps(node, client, tmp_path, lambda total: range(1, total + 1))


# ---- shims ----


def wait_for(what, text, seconds=30):
    """The first true value of what()."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        check(time.monotonic() < deadline, f"waited {seconds} s for {text}")
        time.sleep(0.002)
    return value


def kill_newborn(node, client, before, delay_s, over):
    """Kills the shim of the next pod, delay_s after it was seen."""
    while not over.is_set():
        new = {pod: pid for pod, pid in shims(node).items() if pod not in before}
        if new:
            pod, pid = new.popitem()
            time.sleep(delay_s)
            client.killed.add(pod)
            kill(pid)
            return
        time.sleep(0.0005)


def test_a_shim_killed_while_its_pod_is_made_leaves_nothing(node, client):
    for n in range(25):
        over = threading.Event()
        killer = threading.Thread(target=kill_newborn, args=(node, client, set(shims(node)), n * 0.0006, over))
        killer.start()
        life = Life(client, f"newborn{n}", n, FIRST_HOST_PORT)
        try:
            life.make()
            life.fill()
        except ShimKilled:
            pass
        finally:
            over.set()
            killer.join()
        life.remove()
    compare_all(node, client)


def test_containers_of_a_dead_shim_are_exited_with_a_reason(node, client):
    life = Life(client, "orphan", 1)
    live(life)
    life.check_short()
    client.killed.add(life.pod.id)
    first = pids_of(unified(node) / f"pod{life.pod.id}" / life.long)
    kill(shims(node)[life.pod.id])
    wait_for(lambda: life.status(life.long)["state"] == "CONTAINER_EXITED", "the container's end")
    long, short = life.status(life.long), life.status(life.short)
    assert (long["exitCode"], long["reason"]) == (255, "ShimDied") and long["message"]
    assert (short["exitCode"], short["reason"]) == (life.code, "Error")
    assert client.pods()[life.pod.id]["state"] == "SANDBOX_NOTREADY"
    assert not any(state_of(pid) not in ("", "Z") for pid in first)
    life.end()


def test_a_shim_that_died_while_no_daemon_ran_is_noticed_by_the_next(node, client):
    life = Life(client, "unseen", 1)
    live(life)
    life.check_short()
    client.killed.add(life.pod.id)
    pid = shims(node)[life.pod.id]
    node.kill()
    kill(pid)
    node.start()
    long, short = life.status(life.long), life.status(life.short)
    assert long["state"] == "CONTAINER_EXITED" and (long["exitCode"], long["reason"]) == (255, "Lost") and long["message"]
    assert (short["exitCode"], short["reason"]) == (life.code, "Error")
    assert client.pods()[life.pod.id]["state"] == "SANDBOX_NOTREADY"
    compare_all(node, client)
    life.end()


def test_a_shim_that_does_not_answer_is_given_up_by_a_restarted_daemon(node, client):
    stopped, well = Life(client, "stopped", 1), Life(client, "well", 2)
    live(stopped)
    live(well)
    client.killed.add(stopped.pod.id)
    os.kill(shims(node)[stopped.pod.id], signal.SIGSTOP)
    node.kill()
    node.start()
    pods, containers = client.pods(), client.containers()
    stopped.check_running(pods, containers)
    well.check_running(pods, containers)
    compare_all(node, client)
    stopped.end()
    well.end()


# ---- what happens while no daemon runs ----


def test_a_container_that_ends_while_no_daemon_runs_keeps_its_exit_code_and_log(node, client):
    life = Life(client, "alone", 41)
    live(life)
    life.check_short()
    pid = wait_for(lambda: pids_of(unified(node) / f"pod{life.pod.id}" / life.long), "its first process")[0]
    node.kill()
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "end-" in Path(life.log("long")).read_text()[-100:], "its last line")
    wait_for(lambda: (node.root / "containers" / life.long / "exit.json").exists(), "exit.json")
    node.start()
    status = life.status(life.long)
    assert (status["state"], status["exitCode"], status["reason"]) == ("CONTAINER_EXITED", 7, "Error")
    assert log_problem(life.log("long"), "long", 1) is None
    compare_all(node, client)
    life.end()


def test_a_stop_under_way_is_done_by_asking_the_next_daemon(node, client):
    life = Life(client, "stopping", 1)
    live(life)
    waiting = threading.Thread(target=lambda: client.cri.call("stop", "--timeout", 60, life.long, check=False))
    waiting.start()
    node.kill()
    node.start()
    waiting.join()
    life.end()


# ---- reboot ----


def test_after_a_reboot_pods_are_notready_and_everything_is_given_back(node, client):
    lives = [Life(client, f"reboot{n}", n, FIRST_HOST_PORT + n) for n in range(4)]
    for life in lives:
        live(life)
        client.killed.add(life.pod.id)
    lives[0].check_short()
    node.kill()
    for pid in [pid for pid, line in node.processes().items() if "gridlet" in line] + list(node.processes()):
        kill(pid)
    wait_for(lambda: not node.processes(), "all processes to end")
    subprocess.run(["nft", "delete", "table", "inet", node.table], check=True)
    subprocess.run(["ip", "link", "delete", node.bridge], check=True)
    for top in node.cgroup_tops():
        for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            group.rmdir()
    shutil.rmtree(node.run)
    node.start()
    pods, containers = client.pods(), client.containers()
    for life in lives:
        life.check_running(pods, containers)
        assert containers[life.long]["state"] == "CONTAINER_EXITED"
    assert lives[0].status(lives[0].short)["exitCode"] == lives[0].code
    compare_all(node, client)
    again = Life(client, "again", 1, FIRST_HOST_PORT)
    live(again)
    again.end()
    for life in lives:
        life.end()


# ---- many ----


def test_a_restarted_daemon_adopts_two_hundred_pods(node, client):
    """Prints how long it took; what it may take is measured on an idle machine (docs/benchmarks.md)."""
    lives = [Life(client, f"many{n}", n) for n in range(ADOPTED)]

    def run_one(life):
        life.make()
        life.long = life.container("long", "exec sleep 100000")

    in_threads(client, run_one, lives)
    node.kill()
    node.start()
    print(re.findall(r'msg="recovered".*', node.log())[-1])
    pods, containers = client.pods(), client.containers()
    assert {entry["state"] for entry in pods.values()} == {"SANDBOX_READY"} and len(pods) == ADOPTED
    assert {entry["state"] for entry in containers.values()} == {"CONTAINER_RUNNING"} and len(containers) == ADOPTED
    compare_all(node, client)
