# SPDX-License-Identifier: Apache-2.0
"""What a container may and may not do, beyond what critest looks at."""
import json
import re

import pytest
from crictl import CriError

DEFAULT_CAPABILITIES = 0xA80425FB  # the fourteen of containerd and Docker


def status_of(cri, container, key):
    return re.search(rf"^{key}:\s*(.*)$", cri.shell(container, "cat /proc/self/status"), re.MULTILINE).group(1)


def secure(**context):
    return {"security_context": context}


def test_a_plain_container_has_the_default_capabilities_and_no_more(cri, pod):
    container = cri.start(pod)
    assert int(status_of(cri, container, "CapEff"), 16) == DEFAULT_CAPABILITIES
    assert int(status_of(cri, container, "CapBnd"), 16) == DEFAULT_CAPABILITIES
    assert int(status_of(cri, container, "CapAmb"), 16) == 0


def test_another_user_has_no_effective_capabilities(cri, pod):
    container = cri.start(pod, linux=secure(run_as_user={"value": 1000}))
    assert int(status_of(cri, container, "CapEff"), 16) == 0


def test_an_unknown_capability_is_refused_by_name(cri, pod):
    with pytest.raises(CriError, match="FLY"):
        cri.create(pod, linux=secure(capabilities={"add_capabilities": ["FLY"]}))


def test_an_exec_has_what_its_container_has(cri, pod):
    context = secure(run_as_user={"value": 1234}, run_as_group={"value": 99}, supplemental_groups=[7, 8], no_new_privs=True)
    container = cri.start(pod, linux=context)
    assert cri.shell(container, "id -u; id -g; id -G").split() == ["1234", "99", "99", "7", "8"]
    assert status_of(cri, container, "NoNewPrivs") == "1"


def test_the_default_profile_blocks_what_it_should(cri, pod):
    container = cri.start(pod, linux=secure(seccomp={"profile_type": 0}))
    assert status_of(cri, container, "Seccomp") == "2"
    assert cri.exec(container, "unshare", "-U", "true").code != 0
    assert cri.exec(container, "mount", "-t", "tmpfs", "none", "/mnt").code != 0


def test_a_profile_of_ones_own_is_loaded_and_a_missing_one_named(cri, pod, tmp_path):
    profile = tmp_path / "no-mkdir.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    container = cri.start(pod, linux=secure(seccomp={"profile_type": 2, "localhost_ref": str(profile)}))
    done = cri.exec(container, "mkdir", "/tmp/x")
    assert done.code != 0 and "not supported" in done.err
    with pytest.raises(CriError, match="/no/such/profile.json"):
        cri.start(pod, linux=secure(seccomp={"profile_type": 2, "localhost_ref": "/no/such/profile.json"}))


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, '{"defaultAction": "SCMP_ACT_DANCE"}', '{"defaultAction": 7}'])
def test_a_broken_profile_is_refused(cri, pod, tmp_path, text):
    profile = tmp_path / "broken.json"
    profile.write_text(text)
    with pytest.raises(CriError, match="broken.json"):
        cri.start(pod, linux=secure(seccomp={"profile_type": 2, "localhost_ref": str(profile)}))


def test_devices_are_the_usual_ones_and_others_are_denied(cri, pod):
    container = cri.start(pod, linux=secure(capabilities={"add_capabilities": ["MKNOD"]}))
    names = cri.shell(container, "ls /dev").split()
    assert {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd"} <= set(names)
    assert not {"sda", "vda", "mem", "kmsg", "loop0"} & set(names)
    done = cri.exec(container, "sh", "-c", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk")
    assert done.code != 0 and "not permitted" in done.err


def test_kernel_settings_and_secrets_are_out_of_reach(cri, pod):
    paths = {"masked_paths": ["/proc/kcore", "/proc/keys"], "readonly_paths": ["/proc/sys", "/proc/sysrq-trigger"]}
    container = cri.start(pod, linux=secure(**paths))
    assert cri.shell(container, "cat /proc/kcore /proc/keys 2>/dev/null | wc -c") == "0"
    assert cri.exec(container, "sh", "-c", "echo h >/proc/sysrq-trigger").code != 0
    assert cri.exec(container, "sh", "-c", "echo x >/proc/sys/kernel/hostname").code != 0
    assert cri.exec(container, "sh", "-c", "echo 1 >/sys/kernel/profiling").code != 0


def test_pods_do_not_see_each_others_processes_or_the_nodes(cri, pod):
    other = cri.run_pod()
    cri.start(other, ["sleep", "4711"])
    container = cri.start(pod)
    assert "4711" not in cri.shell(container, "ps")
    assert len(cri.shell(container, "ls -d /proc/[0-9]*").split()) < 10
    cri.remove_pod(other)


def test_a_read_only_root_is_read_only_but_tmpfs_mounts_work(cri, pod):
    container = cri.start(pod, linux=secure(readonly_rootfs=True))
    assert "Read-only" in cri.exec(container, "touch", "/x").err
    assert cri.exec(container, "touch", "/dev/shm/x").code == 0


def test_the_daemons_descriptors_do_not_leak_into_containers(cri, pod):
    container = cri.start(pod)
    script = "ls -l /proc/self/fd 2>/dev/null | sed -n 's/.* -> //p' | grep -v '^/proc/'"
    _, first = cri.finish(pod, ["sh", "-c", script])
    for text in (cri.shell(container, script), first):
        fds = text.strip().split("\n")
        assert len(fds) == 3 and all(re.match(r"pipe:|/dev/null", fd) for fd in fds), fds


def test_sysctls_are_set_and_those_of_the_node_refused(cri):
    pod = cri.run_pod(linux={"sysctls": {"net.ipv4.ip_local_port_range": "20000 30000"}})
    container = cri.start(pod)
    assert cri.shell(container, "cat /proc/sys/net/ipv4/ip_local_port_range").split() == ["20000", "30000"]
    cri.remove_pod(pod)
    with pytest.raises(CriError, match="kernel.panic"):
        cri.run_pod(linux={"sysctls": {"kernel.panic": "1"}})


def test_a_privileged_container_is_still_cut_to_the_daemons_own_rights(cri):
    context = {"security_context": {"privileged": True}}
    pod = cri.run_pod(linux=context)
    container = cri.start(pod, linux=context)
    own = int(re.search(r"CapBnd:\s*(\S+)", open("/proc/self/status").read()).group(1), 16)
    assert int(status_of(cri, container, "CapEff"), 16) == own
    assert status_of(cri, container, "Seccomp") == "0"
    cri.remove_pod(pod)
