# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' own conformance tests of container runtimes, critest, against a node of sanitized programs.

Nothing may fail, and exactly the specs in SKIPPED may be skipped. One run serves all tests of this file.
"""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

CRITEST_S_MAX = 1500
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")

# Beginning of a spec's full name, and why it is left out. Each must match something that was skipped.
SKIPPED = {
    "[k8s.io] Streaming runtime should support streaming interfaces": "streaming comes later",
    "[k8s.io] Security Context UserNamespaces": "user namespaces come later",
    "[k8s.io] Image Manager public image with digest should be pulled and removed":
        "wants the bytes of test-image-digest@sha256:9700..., which cannot be made; test_images.py pulls by another digest",
    "[k8s.io] Container benchmark": "a benchmark, no test",
    "[k8s.io] PodSandbox benchmark": "a benchmark, no test",
    "[k8s.io] Image benchmark": "a benchmark, no test",
}
NO_APPARMOR = {"[k8s.io] AppArmor runtime": "the kernel has no AppArmor"}


def has_apparmor():
    return APPARMOR.exists() and APPARMOR.read_text().strip() == "Y"


def skip_table():
    return SKIPPED if has_apparmor() else {**SKIPPED, **NO_APPARMOR}


def full_name(spec):
    return " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])


@pytest.fixture(scope="module")
def specs(node, cri_tools):
    """Every spec of one critest run: name -> (state, failure message)."""
    folder = node.base / "critest"
    folder.mkdir()
    report = folder / "report.json"
    command = [cri_tools / "critest", "--runtime-endpoint", node.socket, "--image-endpoint", node.socket,
               f"--ginkgo.skip={'|'.join(map(re.escape, skip_table()))}", f"--ginkgo.json-report={report}", "--ginkgo.no-color"]
    with (folder / "log").open("w") as log:
        environment = {**os.environ, "PATH": f"{cri_tools}:{os.environ['PATH']}"}
        subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=CRITEST_S_MAX, env=environment)
    assert report.exists(), (folder / "log").read_text()[-3000:]
    found = {}
    for spec in json.loads(report.read_text())[0]["SpecReports"] or []:
        if spec["LeafNodeType"] == "It":
            found[full_name(spec)] = (spec["State"], spec.get("Failure", {}).get("Message", ""))
    return found


def test_no_spec_fails(specs):
    bad = {name: message for name, (state, message) in specs.items() if state not in ("passed", "skipped", "pending")}
    assert bad == {}
    assert sum(state == "passed" for state, _ in specs.values()) >= 90


def test_exactly_the_listed_specs_are_skipped(specs):
    skipped = [name for name, (state, _) in specs.items() if state in ("skipped", "pending")]
    unexplained = [f"{name}: {specs[name][1]}" for name in skipped if not name.startswith(tuple(skip_table()))]
    assert unexplained == []
    unused = [start for start in skip_table() if not any(name.startswith(start) for name in skipped)]
    assert unused == []
