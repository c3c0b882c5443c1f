# SPDX-License-Identifier: Apache-2.0
"""Images: what arrives is what was packed, liars and hostile layers get one clear error and leave nothing behind."""
import hashlib
import io
import os
import stat
import subprocess
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crictl import CriError, Crictl
from lying_registry import LyingRegistry
from lying_scenarios import EITHER, FAILS, PULLS, SCENARIOS

SELF_CHECKING = ("hard", "rare", "layers40", "whiteouts", "zstd", "plain", "multigz")
# What the runtime itself puts into a container.
RUNTIME_PATHS = ("dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf")
SLOW = [name for name, scenario in SCENARIOS.items() if scenario.slow]
# Five rounds of the client's own patience, 30 s of silence or 60 s of Retry-After each.
SLOWEST = ["429-for-a-day", "stall-at-0", "stall-manifest"]
QUICK = [name for name, scenario in SCENARIOS.items() if not scenario.slow]
# Where our outcome may differ from a perfect client's, and why that does no harm.
HARMLESS = {
    "ambiguous-length": "libcurl believes the last of two lengths; the digest decides what is kept",
    "stall-blob": "each round brings some bytes more, until it is whole",
    "token-ends-after-1": "tokens good for one request are used up by downloads side by side; real ones end by time",
}
PULL_S_MAX = 420
ERROR_BYTES_MAX = 4096
VICTIMS = (Path("/etc/gridlet-victim"), Path("/tmp/gridlet-victim"))


def listed(registry, family):
    """{name: last word of its line in images.txt} of the references under this prefix."""
    lines = (registry.data / "images.txt").read_text().split("\n")
    return {line.split()[0]: line.split()[-1] for line in lines if line.startswith(family + "/")}


def references(cri):
    images = cri.json("images")["images"]
    return sorted(name for image in images for name in image["repoTags"] + image["repoDigests"])


def stored(node):
    """Whatever the image store has on disk: layers, and what is half made."""
    return sorted(str(p.relative_to(node.root)) for p in node.root.glob("layers/*"))


def wait_until(condition, seconds=10):
    """Disk space may be given back after the answer."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


# ---- what arrives ----


@pytest.mark.parametrize("name", SELF_CHECKING)
def test_an_image_that_checks_itself_finds_everything(cri, pod, name):
    status, log = cri.finish(pod, None, image=f"docker.io/gridlet/{name}:1")
    assert status["exitCode"] == 0, log


def describe(path, top):
    """What umoci and we must agree on."""
    info = path.lstat()
    kind = stat.S_IFMT(info.st_mode)
    row = [stat.filemode(info.st_mode), info.st_uid, info.st_gid]
    if stat.S_ISLNK(info.st_mode):
        return row + [os.readlink(path)]
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return row + [os.major(info.st_rdev), os.minor(info.st_rdev)]
    if kind == stat.S_IFREG:
        row += [info.st_size, int(info.st_mtime), hashlib.sha256(path.read_bytes()).hexdigest(), info.st_nlink]
    xattrs = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
              if not key.startswith(("trusted.overlay.", "user.overlay.", "user.rootlesscontainers"))}
    return row + [xattrs]


def tree(top):
    found = {}
    for folder, folders, files in os.walk(top):
        below = os.path.relpath(folder, top)
        folders[:] = [f for f in folders if os.path.normpath(os.path.join(below, f)) not in RUNTIME_PATHS]
        for name in folders + files:
            path = os.path.normpath(os.path.join(below, name))
            if path not in RUNTIME_PATHS:
                found[path] = describe(Path(folder, name), top)
    return found


@pytest.mark.parametrize("name", ["layers40", "whiteouts", "plain", "multigz", "setcap", "user"])  # umoci knows no zstd
def test_a_root_file_system_is_what_umoci_makes_of_the_same_image(cri, pod, registry, disk, name):
    work = disk / f"umoci-{name}"
    work.mkdir()
    source = f"docker://{registry.address}/gridlet/{name}:1"
    subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", source, f"oci:{work}/oci:1"], check=True)
    subprocess.run(["umoci", "--log=error", "unpack", "--image", f"{work}/oci:1", f"{work}/bundle"], check=True)
    image = f"docker.io/gridlet/{name}:1"
    container = cri.start(pod, ["sleep", "1000"], image=image,
                          linux={"security_context": {"run_as_user": {"value": 0}}})
    pid = cri.json("inspect", container)["info"]["pid"]
    ours, theirs = tree(f"/proc/{pid}/root"), tree(work / "bundle/rootfs")
    assert sorted(set(ours) ^ set(theirs)) == []
    assert {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]} == {}


def test_file_capabilities_survive(cri, pod):
    _, log = cri.finish(pod, None, image="docker.io/gridlet/setcap:1")
    assert "0000000000002000" in log


def test_the_images_own_user_folder_command_and_environment_count(cri, pod):
    _, log = cri.finish(pod, None, image="docker.io/gridlet/user:1", args=["once", "two words"])
    assert log.startswith("id=1234:5678 pwd=/work args=2 1=once 2=two words")
    assert "\nGREETING=hello = world\n" in log and "\nEMPTY=\n" in log


def test_the_images_stop_signal_is_sent(cri, pod):
    container = cri.start(pod, None, image="docker.io/gridlet/user:1")
    assert wait_until(lambda: "id=" in cri.logs(container))
    cri.call("stop", "--timeout", 20, container)
    assert (cri.status(container)["exitCode"], "got USR1" in cri.logs(container)) == (7, True)


def test_the_entry_of_this_machines_platform_is_taken(cri, pod):
    _, log = cri.finish(pod, ["cat", "/arch"], image="docker.io/gridlet/multiarch:1")
    assert log.strip() == subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()


# ---- names ----


def test_a_pull_by_digest_has_a_digest_and_no_tag(cri, registry):
    line = next(x for x in (registry.data / "images.txt").read_text().split("\n") if x.startswith("gridlet/plain:1 "))
    name = f"docker.io/gridlet/plain@{line.split()[1]}"
    cri.call("rmi", "docker.io/gridlet/plain:1", check=False)
    cri.call("pull", name)
    image = cri.json("inspecti", name)["status"]
    assert (image["repoTags"], image["repoDigests"]) == ([], [name])
    cri.call("rmi", name)
    assert name not in references(cri)


def test_removing_one_name_removes_the_image_and_its_space(cri, node):
    before = stored(node)
    cri.call("pull", "gcr.io/k8s-staging-cri-tools/test-image-tags:1")
    cri.call("pull", "gcr.io/k8s-staging-cri-tools/test-image-tags:2")
    assert len(stored(node)) > len(before)
    cri.call("rmi", "gcr.io/k8s-staging-cri-tools/test-image-tags:1")
    assert not [name for name in references(cri) if "test-image-tags" in name]
    assert wait_until(lambda: stored(node) == before)


def test_a_missing_image_is_named(cri):
    with pytest.raises(CriError, match="docker.io/gridlet/no-such-image:7"):
        cri.call("pull", "gridlet/no-such-image:7")


def test_equal_pulls_at_once_are_one_download(cri, node):
    with LyingRegistry() as registry:
        SCENARIOS["honest"].prepare(registry)
        name = f"{registry.address}/lie/image:1"
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: cri.call("pull", name).out, range(8)))
        assert len(set(results)) == 1
        blobs = [request.reference for request in registry.asked("blob") if request.method == "GET"]
        assert len(blobs) == len(set(blobs))
        cri.call("rmi", name)


# ---- registries that lie ----


PULLED = "should fail, and pulls"


def try_scenario(cri, scenario):
    """Pulls from a lying registry: what is wrong with the outcome, or None."""
    with LyingRegistry() as registry:
        scenario.prepare(registry)
        name = f"{registry.address}/lie/image:1"
        try:
            done = cri.call("pull", name, check=False, timeout=PULL_S_MAX)
        except subprocess.TimeoutExpired:
            return f"no answer in {PULL_S_MAX} s"
        there = any(registry.address in reference for reference in references(cri))
        if there:
            cri.call("rmi", name)
    outcome = EITHER if scenario.name in HARMLESS else scenario.outcome
    if outcome == PULLS and done.code != 0:
        return f"should pull: {done.err[-500:]}"
    if outcome == FAILS and done.code == 0:
        return PULLED
    if (done.code == 0) != there:
        return f"answer {done.code}, but the image is {'' if there else 'not '}there"
    if done.code != 0 and not (0 < len(done.err) < ERROR_BYTES_MAX and "lie/image" in done.err):
        return f"the error does not say what failed, or says too much: {done.err[:500]}"
    return None


@pytest.mark.parametrize("name", QUICK)
def test_a_lying_registry(cri, node, name):
    wrong = try_scenario(cri, SCENARIOS[name])
    if wrong == PULLED:  # a layer that an earlier scenario left whole is not fetched, so nobody could lie about it
        node.restart()
        wrong = try_scenario(cri, SCENARIOS[name])
    assert wrong is None


def try_on_a_node_of_its_own(make_node, registries, cri_tools, folder, name):
    """All slow liars offer the same layers, so that on one node one's success would help the others."""
    node = make_node(registries).start()
    try:
        wrong = try_scenario(Crictl(cri_tools / "crictl", node.socket, folder / name), SCENARIOS[name])
        status = node.stop()
        if status != 0 or node.sanitizer_reports():
            return f"status {status}, {node.sanitizer_reports()}"
        return wrong or ([f"left: {node.leftovers()}"] if node.leftovers() else None)
    finally:
        node.destroy()


def try_all(names, *fixtures):
    """All at once, since each of them may take the client's whole patience: {name: what is wrong}."""
    with ThreadPoolExecutor(len(names)) as pool:
        tries = {name: pool.submit(try_on_a_node_of_its_own, *fixtures, name) for name in names}
    return {name: done.result() for name, done in tries.items() if done.result()}


def test_registries_that_stall_or_refuse_for_long(make_node, registries, cri_tools, tmp_path):
    quicker = [name for name in SLOW if name not in SLOWEST]
    assert try_all(quicker, make_node, registries, cri_tools, tmp_path) == {}


@pytest.mark.soak
def test_registries_that_stall_or_refuse_for_very_long(make_node, registries, cri_tools, tmp_path):
    assert try_all(SLOWEST, make_node, registries, cri_tools, tmp_path) == {}


# ---- hostile images ----


@pytest.fixture(scope="module")
def victims():
    for victim in VICTIMS:
        victim.write_text("untouched\n")
    yield VICTIMS
    for victim in VICTIMS:
        victim.unlink(missing_ok=True)


def escaped():
    """Files that hostile layers try to make on the node."""
    places = ("/", "/etc", "/tmp", "/root", "/var", "/var/tmp", "/run", "/dev", "/usr")
    return [str(path) for place in places for path in Path(place).glob("gridlet-escape*")]


def test_hostile_images_are_refused_or_contained(cri, node, registry, victims):
    pod = cri.run_pod()
    wrong = {}
    for name, outcome in listed(registry, "hostile").items():
        image = f"docker.io/{name}"
        try:
            container = cri.create(pod, None if "config" in name else ["true"], image=image)
            cri.call("start", container)
            cri.call("rm", "-f", container)
            if outcome == "refuse":
                wrong[name] = "works"
        except CriError as error:
            if len(str(error)) > ERROR_BYTES_MAX:
                wrong[name] = f"an error of {len(str(error))} bytes"
        if any(image.rsplit(":", 1)[0] + ":" in reference for reference in references(cri)):
            cri.call("rm", "-af", check=False)
            cri.call("rmi", image)
        if escaped():
            wrong[name] = f"escaped: {escaped()}"
    cri.remove_pod(pod)
    assert wrong == {}
    assert [victim.read_text() for victim in victims] == ["untouched\n"] * len(victims)


def test_the_file_systems_usage_is_told(cri, node):
    info = cri.json("imagefsinfo")["status"]["imageFilesystems"][0]
    assert info["fsId"]["mountpoint"].startswith(str(node.root)) and int(info["usedBytes"]["value"]) > 0


def test_what_failed_pulls_kept_for_a_retry_is_gone_after_a_restart(cri, node):
    """Whole, verified layers of a failed pull may stay until the next collection; nothing else may."""
    cri.remove_all()
    images = cri.words("images", "-q")
    if images:
        cri.call("rmi", *sorted(set(images)))
    node.restart()
    assert wait_until(lambda: stored(node) == []), stored(node)


# ---- the program that users run ----


def test_the_unpacker_of_the_release_takes_thousands_of_folders_files_and_links(release_programs, tmp_path):
    """Sanitized programs may make system calls that the release's filter does not have."""
    root = tmp_path / "layer"
    root.mkdir()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for number in range(3000):
            folder = tarfile.TarInfo(f"d{number % 50}/e{number}")
            folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o750, 1600000000
            tar.addfile(folder)
            file = tarfile.TarInfo(f"{folder.name}/f")
            file.size, file.mode, file.uid, file.mtime = 3, 0o4755, number % 3, 1600000001
            tar.addfile(file, io.BytesIO(b"abc"))
            hard = tarfile.TarInfo(f"{folder.name}/h")
            hard.type, hard.linkname = tarfile.LNKTYPE, file.name
            tar.addfile(hard)
    done = subprocess.run([release_programs / "gridlet-unpack", "--gzip", root], input=data.getvalue(), capture_output=True)
    assert done.returncode == 0, done
    assert b"inodes 6051\n" in done.stdout
    found = (root / "d49/e2999/f").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_nlink, found.st_mtime) == (0o4755, 2, 2, 1600000001)
