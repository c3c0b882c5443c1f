# SPDX-License-Identifier: Apache-2.0
"""Everything a node holds, compared one by one with what its pods need."""
import os
import re
import time
from pathlib import Path

from survival.lives import check

SETTLE_S = 30  # cleaning that goes on after an answer: trash, cgroups of ended containers, kernel's namespaces
ROOT_FILES = {"pods", "containers", "trash", "corrupt", "layers", "images.db", "images.db-wal", "images.db-shm", "network"}
RUN_FILES = {"pods", "network", "gridletd.lock", "cri.sock", "admin.sock", "containers"}
POD_RUN_FILES = {"record", "shim.sock", "shim.log"}


def names(folder):
    try:
        return {path.name for path in Path(folder).iterdir()}
    except FileNotFoundError:
        return set()


def unified(node):
    """The node's group in the unified hierarchy."""
    for top in (Path("/sys/fs/cgroup/unified", node.cgroup), Path("/sys/fs/cgroup", node.cgroup)):
        if top.is_dir():
            return top
    return None


def pids_of(group):
    try:
        return [int(word) for word in Path(group, "cgroup.procs").read_text().split()]
    except OSError:
        return []


def program(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def shims(node):
    """pod id -> pid of its shim."""
    top = unified(node)
    found = {}
    for group in top.glob("pod*") if top else ():
        for pid in pids_of(group / group.name[3:]):
            if program(pid) == "gridlet-shim":
                found[group.name[3:]] = pid
    return found


def children(pid, name=None):
    """Child processes, of any thread; of one program when it is named."""
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in listing.read_text().split()]
        except OSError:
            continue
    return [child for child in found if name is None or program(child) == name]


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def compare(what, there, wanted):
    extra, missing = sorted(set(there) - set(wanted)), sorted(set(wanted) - set(there))
    return [f"{what}: {name} is left over" for name in extra] + [f"{what}: {name} is missing" for name in missing]


def differences(node, pods, containers, ports):
    """pods, containers: as listed by the CRI. ports: host ports, as text, of pods that are READY."""
    ready = {pod for pod, entry in pods.items() if entry["state"] == "SANDBOX_READY"}
    running = {c: entry["podSandboxId"] for c, entry in containers.items() if entry["state"] == "CONTAINER_RUNNING"}
    found = []
    top = unified(node)
    groups = {f"pod{pod}" for pod in ready} | {f"pod{pod}/{pod}" for pod in ready}
    groups |= {f"pod{pod}/{container}" for container, pod in running.items()}
    for hierarchy in node.cgroup_tops():
        there = {str(path.relative_to(hierarchy)) for path in hierarchy.rglob("*") if path.is_dir()}
        found += compare(f"cgroup of {hierarchy}", there, groups)
    found += compare("shim", shims(node), ready)
    for pod, pid in shims(node).items():
        found += [f"zombie: {child} of the shim of {pod}" for child in children(pid) if state_of(child) == "Z"]
    daemon = node.process.pid
    found += [f"zombie: {child} of the daemon" for child in children(daemon) if state_of(child) == "Z"]
    found += [f"process: {child} {program(child)}" for child in children(daemon) if program(child) != "gridlet-shim"]
    spaces = set()
    for container, pod in running.items():
        pids = pids_of(top / f"pod{pod}" / container)
        if not pids:
            found.append(f"process: {container} is RUNNING and has none")
            continue
        spaces.add(os.readlink(f"/proc/{pids[0]}/ns/net"))
    alive = {pid for group in groups for pid in pids_of(top / group)}
    found += [f"process: {pid} {line}" for pid, line in node.processes().items()
              if pid not in alive and pid != daemon and state_of(pid) not in ("", "Z")]
    with_running = {pod for pod in running.values()}
    if len(spaces) != len(with_running):
        found.append(f"namespaces: {len(spaces)} for {len(with_running)} pods")
    found += [f"mount: {point}" for point in node.mounts()]
    links = node.links()
    if len(links) != len(ready):
        found.append(f"links: {len(links)} for {len(ready)} pods: {links}")
    found += compare("host port in nft", set(re.findall(r"'tcp', (\d+)", str(node.nft_elements()))), ports)
    found += compare("address", {name.split(".")[0] for name in names(node.run / "network" / "pods")}, ready)
    found += compare("pods", names(node.root / "pods"), pods)
    found += compare("containers", names(node.root / "containers"), containers)
    found += compare("run/pods", names(node.run / "pods"), ready)
    found += [f"file: trash/{name}" for name in names(node.root / "trash")]
    found += [f"corrupt record: {name}" for name in names(node.root / "corrupt")]
    found += [f"file: layers/{name}" for name in names(node.root / "layers") if not re.fullmatch(r"[0-9a-z]{1,5}", name)]
    found += [f"file: root/{name}" for name in names(node.root) - ROOT_FILES]
    found += [f"file: run/{name}" for name in names(node.run) - RUN_FILES]
    for pod in ready:
        found += compare(f"run/pods/{pod}", names(node.run / "pods" / pod), POD_RUN_FILES)
    return found


def compare_all(node, client, ports=()):
    """Ends when nothing differs, or with what does."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = differences(node, client.pods(), client.containers(), ports)
        if not found:
            return
        check(time.monotonic() < deadline, "\n".join(found[:40]))
        time.sleep(0.2)
