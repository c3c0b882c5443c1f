# SPDX-License-Identifier: Apache-2.0
"""The CRI as Kubernetes' own client speaks it: crictl, with its output as Python values."""
import itertools
import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-2"
CALL_S_MAX = 120

counter = itertools.count()


class CriError(Exception):
    """crictl failed; the text is what it printed."""


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Pod:
    id: str
    config: dict
    config_path: Path


class Crictl:
    """folder: where configs and logs of pods go."""

    def __init__(self, program, endpoint, folder):
        self.program, self.folder = Path(program), Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "crictl.yaml"
        self.config.write_text(f"runtime-endpoint: {endpoint}\nimage-endpoint: {endpoint}\ntimeout: {CALL_S_MAX}\n")

    def call(self, *words, check=True, timeout=CALL_S_MAX + 30):
        command = [self.program, "--config", self.config, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout)
        if check and done.returncode != 0:
            raise CriError(f"crictl {' '.join(map(str, words))}: {done.stderr.strip()}")
        return Result(done.returncode, done.stdout, done.stderr)

    def words(self, *words):
        return self.call(*words).out.split()

    def json(self, verb, *words):
        return json.loads(self.call(verb, "-o", "json", *words).out)

    def _write(self, name, config):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config))
        return path

    # ---- pods ----

    def pod_config(self, name=None, linux=None, **fields):
        name = name or f"pod{next(counter)}"
        logs = self.folder / "logs" / name
        metadata = {"name": name, "namespace": "e2e", "uid": f"uid-{name}", "attempt": 0}
        return {"metadata": metadata, "log_directory": str(logs), "linux": linux or {}, **fields}

    def run_pod(self, name=None, **fields):
        config = self.pod_config(name, **fields)
        path = self._write(config["metadata"]["name"], config)
        return Pod(self.call("runp", path).out.strip(), config, path)

    def pod_status(self, pod):
        return self.json("inspectp", pod.id)["status"]

    def remove_pod(self, pod):
        """What a kubelet does at the end of a pod."""
        self.call("stopp", pod.id)
        self.call("rmp", pod.id)

    def remove_all(self):
        """Every pod of the node."""
        ids = self.words("pods", "-q")
        if ids:
            self.call("rmp", "-f", *ids)

    # ---- containers ----

    def create(self, pod, command=("sleep", "1000"), image=BUSYBOX, name=None, pull=True, **fields):
        """Asks for the image first unless told not to."""
        name = name or f"c{next(counter)}"
        config = {"metadata": {"name": name, "attempt": 0}, "image": {"image": image}, "log_path": f"{name}.log",
                  "linux": {}, **fields}
        if command is not None:
            config["command"] = list(command)
        path = self._write(f"{pod.id[:12]}-{name}", config)
        return self.call("create", *["--with-pull"] * pull, pod.id, path, pod.config_path).out.strip()

    def start(self, pod, command=("sleep", "1000"), **fields):
        """Creates and starts; returns the id."""
        container = self.create(pod, command, **fields)
        self.call("start", container)
        return container

    def status(self, container):
        return self.json("inspect", container)["status"]

    def exec(self, container, *command, timeout=None):
        """ExecSync."""
        options = ["--timeout", timeout] if timeout else []
        done = self.call("exec", "--sync", *options, container, *command, check=False)
        code = re.search(r"exited with (\d+)", done.err)
        if done.code != 0 and not code:
            raise CriError(done.err.strip())
        return Result(int(code.group(1)) if code else 0, done.out, done.err)

    def shell(self, container, script):
        """Output of a script that must succeed."""
        done = self.exec(container, "sh", "-c", script)
        assert done.code == 0, f"{script}: {done}"
        return done.out.strip()

    def logs(self, container):
        return self.call("logs", container).out

    def wait_exit(self, container, seconds=30):
        """The status once it has exited."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.status(container)
            if status["state"] == "CONTAINER_EXITED":
                return status
            assert time.monotonic() < deadline, f"{container} still runs after {seconds} s: {status}"
            time.sleep(0.1)

    def finish(self, pod, command, **fields):
        """Runs a container to its end: (status, log)."""
        container = self.start(pod, command, **fields)
        status = self.wait_exit(container)
        return status, self.logs(container)
