# SPDX-License-Identifier: Apache-2.0
"""scripts/run.sh, as a newcomer uses it, in folders of its own."""
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
RUN_S_MAX = 900  # it may have to build


@pytest.fixture
def folders(disk):
    base = disk / "run-script"
    base.mkdir()
    options = ["--root", base / "root", "--run", base / "run"]
    yield base, options
    script("--stop", *options)
    shutil.rmtree(base)


def script(*options):
    done = subprocess.run([TOP / "scripts/run.sh", *options], capture_output=True, text=True, timeout=RUN_S_MAX)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_runs_a_container_twice_and_stops(folders, release_programs):
    base, options = folders
    first = script(*options)
    assert "Hello from hello" in first and "scripts/run.sh --stop" in first
    again = script(*options)
    assert "the node runs already" in again and "Hello from hello" in again
    listed = subprocess.run([release_programs / "gridlet", "--run", base / "run", "ps"], capture_output=True, text=True)
    assert listed.stdout.count("hello") >= 1 and "running" in listed.stdout
    assert "the node has ended" in script("--stop", *options)
    assert "no node runs" in script("--stop", *options)
