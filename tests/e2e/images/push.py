# SPDX-License-Identifier: Apache-2.0
"""Builds manifests and pushes images to a registry over plain HTTP, with the standard library only."""
import hashlib
import http.client
import json
import re
from dataclasses import dataclass, field

import layers as packing

CREATED = "2026-01-01T00:00:00Z"
ENV = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]

OCI = {
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "index": "application/vnd.oci.image.index.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    packing.TAR_GZIP: "application/vnd.oci.image.layer.v1.tar+gzip",
    packing.TAR_ZSTD: "application/vnd.oci.image.layer.v1.tar+zstd",
    packing.TAR_PLAIN: "application/vnd.oci.image.layer.v1.tar",
}
DOCKER = {
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    packing.TAR_GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    packing.TAR_PLAIN: "application/vnd.docker.image.rootfs.diff.tar",
}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value):
    return json.dumps(value).encode()


@dataclass
class Blob:
    """A blob and, when it is a layer, its kind and the digest of what is inside (diff_id)."""

    data: bytes
    kind: str = ""
    diff_id: str = ""

    def __post_init__(self):
        self.digest = digest(self.data)
        self.size = len(self.data)

    def descriptor(self, media_type):
        return {"mediaType": media_type, "size": self.size, "digest": self.digest}


def layer_blob(layer, kind=packing.TAR_GZIP, pack=None):
    """Packs a Layer; `pack` replaces the ordinary compressor of this kind."""
    tar = layer.tar()
    return Blob((pack or packing.PACKERS[kind])(tar), kind, digest(tar))


@dataclass
class Image:
    """Everything that a registry needs to serve one single-platform image."""

    blobs: list
    manifest: bytes
    media_type: str
    config: dict = field(default_factory=dict)

    @property
    def digest(self):
        return digest(self.manifest)

    @property
    def layer_blobs(self):
        return self.blobs[1:]

    def descriptor(self, **more):
        return {"mediaType": self.media_type, "size": len(self.manifest), "digest": self.digest, **more}


def image_of(blobs, config=None, platform=None, types=OCI):
    """An Image of layer blobs. config: the `config` object (Env, Cmd, ...); platform: architecture, os, variant."""
    document = {"architecture": "amd64", "os": "linux", **(platform or {}), "created": CREATED}
    document["config"] = config or {}
    document["rootfs"] = {"type": "layers", "diff_ids": [blob.diff_id for blob in blobs]}
    document["history"] = [{"created": CREATED, "created_by": "mkimages.py"} for _ in blobs]
    config_blob = Blob(dump(document))
    manifest = {
        "schemaVersion": 2,
        "mediaType": types["manifest"],
        "config": config_blob.descriptor(types["config"]),
        "layers": [blob.descriptor(types[blob.kind]) for blob in blobs],
    }
    return Image([config_blob, *blobs], dump(manifest), types["manifest"], document)


def index_of(entries, types=OCI):
    """An image index. entries: [(Image, platform)]. Returns (media type, bytes)."""
    manifests = [image.descriptor(platform=platform) for image, platform in entries]
    document = {"schemaVersion": 2, "mediaType": types["index"], "manifests": manifests}
    return types["index"], dump(document)


class Registry:
    """Pushes to http://ADDRESS."""

    def __init__(self, address):
        self.address = address

    def request(self, method, path, body=None, headers=None, expect=()):
        connection = http.client.HTTPConnection(self.address, timeout=600)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if expect and answer.status not in expect:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return answer

    def push_blob(self, repository, blob):
        if self.request("HEAD", f"/v2/{repository}/blobs/{blob.digest}").status == 200:
            return
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/", expect=(202,))
        location = re.sub(r"^https?://[^/]+", "", answer.getheader("Location"))
        mark = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream"}
        self.request("PUT", f"{location}{mark}digest={blob.digest}", blob.data, headers, expect=(201,))

    def push_manifest(self, repository, reference, media_type, data):
        path = f"/v2/{repository}/manifests/{reference}"
        self.request("PUT", path, data, {"Content-Type": media_type}, expect=(201,))

    def push(self, reference, image, note=""):
        """reference: repository:tag, without a host. Prints a line about it, with the note at its end."""
        repository, tag = reference.rsplit(":", 1)
        for blob in image.blobs:
            self.push_blob(repository, blob)
        self.push_manifest(repository, tag, image.media_type, image.manifest)
        size = sum(blob.size for blob in image.blobs)
        print(f"{reference} {image.digest} layers={len(image.layer_blobs)} bytes={size} {note}".rstrip())

    def push_index(self, reference, entries, types=OCI):
        repository, tag = reference.rsplit(":", 1)
        for image, _ in entries:
            for blob in image.blobs:
                self.push_blob(repository, blob)
            self.push_manifest(repository, image.digest, image.media_type, image.manifest)
        media_type, data = index_of(entries, types)
        self.push_manifest(repository, tag, media_type, data)
        print(f"{reference} {digest(data)} platforms={len(entries)}")
