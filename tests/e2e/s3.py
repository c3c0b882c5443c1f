# SPDX-License-Identifier: Apache-2.0
"""A gridlet-s3 of the test's own: its folder, its keys, its ports, and clients that speak to it."""
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

PACKAGES = os.environ.get("GRIDLET_PYTHON_PACKAGES", "/var/cache/gridlet/python")
sys.path.insert(0, PACKAGES)
for name in [n for n in sys.modules if n.split(".")[0] in ("botocore", "boto3", "s3transfer")]:
    del sys.modules[name]

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402

ACCESS, SECRET = "GKIAENDTOEND", "a-secret-of-the-end-to-end-tests"


class Gateway:
    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        self.root, self.logfile = self.folder / "root", self.folder / "log"
        self.process = None

    def start(self):
        read, write = os.pipe()
        env = dict(os.environ, GRIDLET_S3_ACCESS_KEY=ACCESS, GRIDLET_S3_SECRET_KEY=SECRET)
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--root", self.root, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0",
                 "--domain", "localhost", "--ready-fd", str(write)],
                pass_fds=[write], env=env, stdout=log, stderr=log)
        os.close(write)
        with os.fdopen(read) as ready:
            assert ready.readline() == "READY=1\n", self.log()
        served = re.findall(r"gridlet-s3 serves.* port=(\d+) tls_port=(\d+)", self.log())[-1]
        self.port, self.tls_port = served
        return self

    def log(self):
        return self.logfile.read_text(errors="replace")

    def url(self, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port if scheme == 'http' else self.tls_port}"

    @property
    def certificate(self):
        return self.root / "tls" / "cert.pem"

    def client(self, scheme="http", secret=SECRET, **config):
        return boto3.client(
            "s3", endpoint_url=self.url(scheme), aws_access_key_id=ACCESS, aws_secret_access_key=secret,
            region_name="us-east-1", verify=str(self.certificate) if scheme == "https" else None,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **config))

    def environment(self, scheme="http"):
        env = dict(os.environ, AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION="us-east-1",
                   HOME=str(self.folder))
        env.pop("AWS_CA_BUNDLE", None)
        if scheme == "https":
            env["SSL_CERT_FILE"] = str(self.certificate)
        return env

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        assert code == 0, self.log()[-3000:]
        assert "AddressSanitizer" not in self.log() and "runtime error" not in self.log(), self.log()[-5000:]
