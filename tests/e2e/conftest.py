# SPDX-License-Identifier: Apache-2.0
"""Fixtures: programs, a registry full of test images, a node per test module that must leave nothing behind."""
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE / "images")]

from crictl import Crictl  # noqa: E402
from node import Node, mirror_everything  # noqa: E402
from registry import Registry  # noqa: E402

DISK_BYTES = 6 << 30  # sparse

folders = itertools.count()


def last_line(script, *options):
    """Runs one of the scripts that print a folder at the end of what they say."""
    done = subprocess.run([HERE / script, *options], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip().split("\n")[-1])


def preset(variable, name):
    programs = os.environ.get(variable)
    if not programs:
        subprocess.run(["cmake", "--preset", name], cwd=TOP, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cmake", "--build", "--preset", name], cwd=TOP, check=True)
        programs = TOP / "build" / name / "bin"
    return Path(programs)


@pytest.fixture(scope="session")
def programs():
    """The sanitized programs; GRIDLET_BIN names them, else they are built here."""
    return preset("GRIDLET_BIN", "dev")


@pytest.fixture(scope="session")
def release_programs():
    return preset("GRIDLET_RELEASE_BIN", "release")


@pytest.fixture(scope="session")
def cri_tools():
    """The folder with crictl, critest and ginkgo."""
    return last_line("tools/critest.sh")


@pytest.fixture(scope="session")
def registry():
    """A registry with every test image. Tests that push need one of their own."""
    with Registry(last_line("images/build.sh")) as running:
        yield running


@pytest.fixture(scope="session")
def disk():
    """A journaling file system of our own: unpacking and removing on the machine's may be slow beyond measure, and the
    file systems of nodes must be whole ones."""
    with tempfile.TemporaryDirectory(prefix="gl-", dir="/tmp") as folder:
        image, point = Path(folder, "disk"), Path(folder, "d")
        image.touch()
        os.truncate(image, DISK_BYTES)
        point.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, point], check=True)
        try:
            yield point
        finally:
            subprocess.run(["umount", "-l", point], check=True)


@pytest.fixture(scope="session")
def registries(registry, disk):
    """A hosts.toml folder that leads everything to the registry."""
    return mirror_everything(disk / "registries", registry.address)


@pytest.fixture(scope="session")
def make_node(programs, disk):
    """make_node(registries): a node that is not started. Whoever makes it destroys it."""

    def make(registries, bin_dir=None):
        base = disk / f"n{next(folders)}"
        base.mkdir()
        for folder in (base, *base.parents[:-2]):  # a machine may have the user gridlet-zdb, who must get there
            folder.chmod(folder.stat().st_mode | 0o111)
        return Node(base, bin_dir or programs, registries)

    return make


@pytest.fixture(scope="module")
def node(make_node, registries, cri_tools, tmp_path_factory):
    """A running node. At the end of the module its pods are removed, the daemon is stopped, and nothing may be left."""
    node = make_node(registries).start()
    try:
        yield node
        if node.process is None:
            node.start()
        Crictl(cri_tools / "crictl", node.socket, tmp_path_factory.mktemp("end")).remove_all()
        assert node.stop() == 0, node.log()[-3000:]
        assert node.sanitizer_reports() == []
        assert node.leftovers() == []
    finally:
        node.destroy()


@pytest.fixture(scope="module")
def cri(node, cri_tools, tmp_path_factory):
    """Its folder is not on the nodes' disk, which hostile images may fill."""
    return Crictl(cri_tools / "crictl", node.socket, tmp_path_factory.mktemp("crictl"))


@pytest.fixture
def pod(cri):
    """A plain pod for one test."""
    made = cri.run_pod()
    yield made
    cri.remove_pod(made)
