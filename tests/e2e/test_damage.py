# SPDX-License-Identifier: Apache-2.0
"""What a full, read-only or damaged disk may cost: never the truth about what ended, never a name, never a leak."""
import os
import subprocess
from pathlib import Path

import pytest
from crictl import CriError, Crictl
from node import Node

DISK_BYTES = 96 << 20
END = ["sh", "-c", "cat /hold/pipe; exit 7"]  # ends when somebody opens the pipe for writing and closes it


class SmallDisk:
    """A file system of its own for one node's root folder."""

    def __init__(self, folder):
        self.image, self.point = folder / "image", folder / "disk"
        self.filler = self.point / "filler"

    def __enter__(self):
        self.image.touch()
        os.truncate(self.image, DISK_BYTES)
        self.point.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.point], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.point], check=True)

    def fill(self):
        """To the last block."""
        for size in (1 << 20, 4096):
            with self.filler.open("ab", buffering=0) as out:
                try:
                    while out.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        with pytest.raises(OSError, match="No space left"):
            (self.point / "more").write_bytes(bytes(4096))
        (self.point / "more").unlink(missing_ok=True)

    def empty(self):
        self.filler.unlink()


@pytest.fixture
def small_disk(tmp_path):
    with SmallDisk(tmp_path) as disk:
        yield disk


@pytest.fixture
def small_node(small_disk, programs, registries, cri_tools, tmp_path):
    """A node on the small disk, and crictl for it. Nothing may be left when its pods are removed."""
    base = small_disk.point / "n"
    base.mkdir()
    node = Node(base, programs, registries)
    node.run, node.log_path = tmp_path / "run", tmp_path / "gridletd.log"
    try:
        cri = Crictl(cri_tools / "crictl", node.start().socket, tmp_path / "crictl")
        yield node, cri
        cri.remove_all()
        assert node.stop() == 0, node.log()[-3000:]
        assert node.sanitizer_reports() == []
        assert node.leftovers() == []
    finally:
        node.destroy()


def start_held(cri, pod, folder):
    """A container that ends with 7 when let_end(folder) is called."""
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    return cri.start(pod, END, mounts=[{"host_path": str(folder), "container_path": "/hold"}])


def let_end(folder):
    with (folder / "pipe").open("wb"):
        pass


def expect_end(cri, container):
    status = cri.status(container)
    assert status["state"] == "CONTAINER_EXITED", status
    assert (status["exitCode"], status["reason"]) == (7, "Error")


def test_the_end_of_a_container_is_kept_on_a_full_disk(small_node, small_disk, tmp_path):
    node, cri = small_node
    container = start_held(cri, cri.run_pod(), tmp_path / "hold")
    small_disk.fill()
    let_end(tmp_path / "hold")
    cri.wait_exit(container)
    node.kill()
    assert Path(node.root, "containers", container, "exit.json").read_text().startswith('{"exit_code":7,')
    small_disk.empty()
    node.start()
    expect_end(cri, container)


def test_an_end_that_could_not_be_written_is_told_by_the_shim(small_node, tmp_path):
    node, cri = small_node
    container = start_held(cri, cri.run_pod(), tmp_path / "hold")
    folder = Path(node.root, "containers", container)
    room, end = folder / ".exit.json.tmp", folder / "exit.json"
    room.unlink()
    room.mkdir()  # as good as a broken disk
    let_end(tmp_path / "hold")
    cri.wait_exit(container)
    for _ in range(2):
        node.kill()
        assert not end.exists()
        node.start()
        expect_end(cri, container)
    room.rmdir()
    node.restart()
    expect_end(cri, container)
    assert end.read_text().startswith('{"exit_code":7,')


def test_without_room_for_its_end_no_container_is_created(small_node, small_disk):
    _, cri = small_node
    pod = cri.run_pod()
    cri.call("rm", cri.create(pod))  # pulls the image
    small_disk.fill()
    with pytest.raises(CriError, match="No space left on device"):
        cri.create(pod, pull=False)
    small_disk.empty()
    cri.call("rm", "-f", cri.start(pod))


def test_a_pod_is_stopped_and_removed_on_a_full_disk(small_node, small_disk):
    _, cri = small_node
    pod = cri.run_pod()
    cri.start(pod)
    small_disk.fill()
    cri.remove_pod(pod)
    assert cri.words("pods", "-q") == []


def test_a_pod_with_a_corrupt_record_can_be_made_again(small_node):
    node, cri = small_node
    pod = cri.run_pod("again", port_mappings=[{"protocol": 0, "container_port": 80, "host_port": 0}])
    cri.start(pod)
    node.kill()
    Path(node.root, "pods", pod.id, "record").write_bytes(b"\xff\xff\xff")
    node.start()
    assert cri.words("pods", "-q") == [] and cri.words("ps", "-aq") == []
    assert Path(node.root, "corrupt", f"pods-{pod.id}").read_bytes() == b"\xff\xff\xff"
    assert [line for line in node.log().split("\n") if "set aside" in line and pod.id in line]
    assert node.stop() == 0
    assert node.leftovers() == []
    node.start()
    again = cri.run_pod("again")
    assert again.id != pod.id
    cri.start(again)


def test_a_container_with_a_corrupt_record_is_ended_and_its_pod_goes_on(small_node):
    node, cri = small_node
    pod = cri.run_pod()
    bad, good = cri.start(pod), cri.start(pod)
    node.kill()
    Path(node.root, "containers", bad, "record").write_bytes(b"")
    node.start()
    assert cri.words("ps", "-aq", "--no-trunc") == [good]
    assert not [group for group in node.cgroups() if bad in group]
    assert cri.shell(good, "echo alive").strip() == "alive"
