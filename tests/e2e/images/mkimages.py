#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds every image that the end-to-end tests and critest want, and pushes them to a plain-HTTP registry.

No container tool and no outside registry is needed. The critest images bear the repository names that critest has built in,
so a runtime whose mirrors for registry.k8s.io, k8s.gcr.io, gcr.io and docker.io point at the registry can run it. One cannot
be made: test-image-digest@sha256:9700f9a2..., whose bytes are the upstream's. Deterministic: the same inputs give the same
digests.
"""
import argparse
import random
import re
import subprocess
from pathlib import Path

import gridlet_images
import hostile_images
from layers import Layer
from push import DOCKER, ENV, Registry, image_of, layer_blob

SHELL = {"Env": ENV, "Cmd": ["sh"]}
STAGING = "k8s-staging-cri-tools/"
E2E = "e2e-test-images/"

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
"""
NGINX_CONF = """\
user www-data;
worker_processes 1;
error_log /var/log/nginx/error.log warn;
pid /var/run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
"""
NGINX_SITE = """\
server {
    listen %d;
    server_name localhost;
    location / { root /usr/share/nginx/html; index index.html; }
}
"""
NGINX_PAGE = """\
<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>
"""


class Publisher:
    """What every family of images needs: the registry, the programs to put in, the busybox layer, and the --only filter."""

    def __init__(self, registry, programs, only):
        self.registry = registry
        self.programs = programs
        self.only = re.compile(only)
        self.busybox_layer = busybox_layer(programs / "busybox")
        self.busybox = layer_blob(self.busybox_layer)

    def wants(self, reference):
        return bool(self.only.search(reference))

    def program(self, name):
        return (self.programs / name).read_bytes()

    def push(self, references, blobs, config, note="", **more):
        image = image_of(blobs, config, **more)
        for reference in references:
            if self.wants(reference):
                self.registry.push(reference, image, note)


def busybox_layer(path):
    """A root file system of busybox. Applets are hard links, because critest masks /bin/ls alone."""
    layer = Layer()
    for folder in ("bin", "dev", "etc", "home", "usr/bin", "usr/sbin", "var/run", "var/spool"):
        layer.dir(folder)
    layer.dir("root", 0o700)
    layer.dir("tmp", 0o1777)
    layer.file("bin/busybox", path.read_bytes(), 0o755)
    applets = subprocess.run([path, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    for name in applets:
        layer.hardlink("bin/" + name, "bin/busybox")
    layer.symlink("usr/bin/env", "../../bin/env")
    layer.file("etc/passwd", PASSWD)
    layer.file("etc/group", GROUP)
    layer.file("etc/shadow", "root:*:10933:0:99999:7:::\n", 0o640)
    return layer


def one_file(path, data, mode=0o644):
    return layer_blob(Layer().file(path, data, mode))


def push_pause(publisher):
    layer = one_file("pause", publisher.program("pause"), 0o755)
    config = {"Env": ENV, "Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/"}
    tags = ("3.6", "3.8", "3.9", "3.10", "3.10.1", "3.10.2")
    publisher.push([f"pause:{tag}" for tag in tags], [layer], config)


def push_busybox(publisher):
    names = (E2E + "busybox:1.29-2", E2E + "busybox:1.37.0-1", "library/busybox:latest", "library/busybox:1.26")
    publisher.push(names, [publisher.busybox], SHELL, types=DOCKER)


def push_nonewprivs(publisher):
    layer = one_file("usr/local/bin/nnp", publisher.program("nnp"), 0o6755)
    publisher.push([E2E + "nonewprivs:1.3"], [publisher.busybox, layer], {"Env": ENV, "Cmd": ["nnp"]})


def libraries(root, program):
    """The shared objects that an unpacked program loads, {path in the image: file}, taken from the same unpacked root."""
    name = "x86_64-linux-gnu/ld-linux-x86-64.so.2"
    loader = next(path for path in (root / "lib" / name, root / "usr/lib" / name) if path.exists())
    folders = ":".join(str(root / name) for name in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    listed = subprocess.run(
        [loader, "--library-path", folders, "--list", program], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = {}
    for path in re.findall(r"=> (/\S+) \(0x", listed):
        if not path.startswith(str(root)):
            raise RuntimeError(f"{program} loads {path}, which is not below {root}")
        found[path.removeprefix(str(root))] = Path(path)
    found["/lib64/ld-linux-x86-64.so.2"] = loader
    return found


def nginx_layer(root, port):
    layer = Layer()
    program = root / "usr/sbin/nginx"
    layer.file("usr/sbin/nginx", program.read_bytes(), 0o755)
    for name, path in sorted(libraries(root, program).items()):
        layer.file(name, path.read_bytes(), 0o755)
    folders = ("var/log/nginx", "var/lib/nginx", "var/cache/nginx", "run", "etc/nginx/conf.d", "usr/share/nginx/html")
    for folder in folders:
        layer.dir(folder)
    layer.symlink("var/log/nginx/access.log", "/dev/stdout")
    layer.symlink("var/log/nginx/error.log", "/dev/stderr")
    layer.file("etc/nginx/mime.types", (root / "etc/nginx/mime.types").read_bytes())
    layer.file("etc/nginx/nginx.conf", NGINX_CONF)
    layer.file("etc/nginx/conf.d/default.conf", NGINX_SITE % port)
    layer.file("usr/share/nginx/html/index.html", NGINX_PAGE)
    return layer_blob(layer)


def push_nginx(publisher, root):
    config = {"Env": ENV, "Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"}
    layers = [publisher.busybox, nginx_layer(root, 80)]
    publisher.push([E2E + "nginx:1.14-2", E2E + "nginx:1.14-4", "library/nginx:latest"], layers, config)
    pretend_httpd = ["sh", "-c", "echo 'httpd -D FOREGROUND' >&2; exec nginx -g 'daemon off;'"]
    publisher.push([E2E + "httpd:2.4.39-4"], layers, dict(config, Cmd=pretend_httpd))
    host_layers = [publisher.busybox, nginx_layer(root, 12003)]
    host_config = dict(config, ExposedPorts={"12003/tcp": {}})
    publisher.push([STAGING + "hostnet-nginx-amd64:latest"], host_layers, host_config)


def push_users(publisher):
    users = {
        "user-uid": "1002",
        "user-username": "www-data",
        "user-uid-group": "1003:users",
        "user-username-group": "www-data:100",
    }
    for name, user in users.items():
        publisher.push([f"{STAGING}test-image-{name}:latest"], [publisher.busybox], dict(SHELL, User=user))
    groups = Layer()
    groups.file("etc/passwd", PASSWD + "default-user:x:1000:1000:Linux User,,,:/home/default-user:/bin/sh\n")
    groups.file("etc/group", GROUP + "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n")
    groups.dir("home/default-user", 0o2755, uid=1000, gid=1000)
    name = STAGING + "test-image-predefined-group:latest"
    publisher.push([name], [publisher.busybox, layer_blob(groups)], dict(SHELL, User="1000"))


def push_plain_names(publisher):
    names = ("1:latest", "2:latest", "3:latest", "latest:latest", "tag:test", "tag:all", "digest:test")
    for name in names:
        image, tag = name.split(":")
        layer = one_file(f"test-image-{image}-{tag}", f"{image} {tag}\n")
        publisher.push([f"{STAGING}test-image-{name}"], [publisher.busybox, layer], SHELL)
    tags = one_file("test-image-tags", "tags\n")
    publisher.push([f"{STAGING}test-image-tags:{tag}" for tag in (1, 2, 3)], [publisher.busybox, tags], SHELL)


class Filler:
    """File contents that compress about as well as programs and documents do, from a seeded generator."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = ["".join(self.random.choice(letters) for _ in range(self.random.randint(2, 11))) for _ in range(4096)]
        self.text = " ".join(self.random.choice(words) for _ in range(1 << 20)).encode()
        self.noise = self.random.randbytes(8 << 20)

    def content(self, size):
        out = []
        while size > 0:
            take = min(size, 65536)
            source = self.noise if self.random.random() < 0.22 else self.text
            start = self.random.randrange(len(source) - take)
            out.append(source[start:start + take])
            size -= take
        return b"".join(out)


def push_big(publisher):
    """bench/big200:v1: about 200 MB compressed, 357 MB unpacked, 11,000 files in 9 layers, for pull benchmarks."""
    if not publisher.wants("bench/big200:v1"):
        return
    filler = Filler(42)
    blobs = [publisher.busybox]
    for index in range(8):
        layer = Layer()
        total = count = 0
        while total < 41 << 20:
            size = min(int(filler.random.lognormvariate(8.7, 1.9)), 12 << 20)
            layer.file(f"opt/l{index}/d{count % 97}/f{count}", filler.content(size))
            total += size
            count += 1
        blobs.append(layer_blob(layer))
    publisher.push(["bench/big200:v1"], blobs, SHELL)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", required=True, help="address:port to push to, by plain HTTP")
    parser.add_argument("--bin", type=Path, required=True, help="folder with busybox, pause and nnp, all static")
    parser.add_argument("--nginx-root", type=Path, help="where Debian's nginx and its libraries are unpacked; without: no nginx")
    parser.add_argument("--only", default=".", help="push only references that match this regular expression")
    parser.add_argument("--big", action="store_true", help="also the 200 MB image of the pull benchmark")
    return parser.parse_args()


def main():
    options = arguments()
    publisher = Publisher(Registry(options.registry), options.bin, options.only)
    push_pause(publisher)
    push_busybox(publisher)
    push_nonewprivs(publisher)
    push_users(publisher)
    push_plain_names(publisher)
    if options.nginx_root:
        push_nginx(publisher, options.nginx_root)
    gridlet_images.push_all(publisher)
    hostile_images.push_all(publisher)
    if options.big:
        push_big(publisher)


if __name__ == "__main__":
    main()
