# SPDX-License-Identifier: Apache-2.0
"""Pushes the images under hostile/: each layer of hostile_layers.py over busybox, and images whose config lies."""
import json

import hostile_layers
from push import ENV, OCI, Blob, Image, dump, image_of

CONFIG = {"Env": ENV, "Cmd": ["sh"]}


def with_config(layer, document):
    """An image whose config blob is exactly `document`: bytes, or something for JSON."""
    config = Blob(document if isinstance(document, bytes) else dump(document))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI["manifest"],
        "config": config.descriptor(OCI["config"]),
        "layers": [layer.descriptor(OCI[layer.kind])],
    }
    return Image([config, layer], dump(manifest), OCI["manifest"])


def config_cases(layer):
    """{name: config blob}. Refused at the latest when a container is made; a path may be kept inside the image instead."""
    good = image_of([layer], CONFIG).config

    def changed(**fields):
        return {**good, **fields}

    many = {"type": "layers", "diff_ids": [layer.diff_id] * 1000}
    deep = b'{"config":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    return {
        "config-more-diff-ids": changed(rootfs=many),
        "config-no-diff-ids": changed(rootfs={"type": "layers", "diff_ids": []}),
        "config-bad-diff-id": changed(rootfs={"type": "layers", "diff_ids": ["sha256:../../etc/passwd"]}),
        "config-user-path": changed(config={**CONFIG, "User": "../../../etc/passwd:0"}),
        "config-user-missing": changed(config={**CONFIG, "User": "no-such-user"}),
        "config-wrong-types": changed(config={"Env": "PATH=/bin", "Cmd": {"a": 1}, "Entrypoint": 7, "Volumes": []}),
        "config-huge-env": changed(config={**CONFIG, "Env": ["BIG=" + "x" * (10 << 20)]}),
        "config-bad-signal": changed(config={**CONFIG, "StopSignal": "SIGNOTHING"}),
        "config-relative-workdir": changed(config={**CONFIG, "WorkingDir": "../../../tmp/gridlet-escape-workdir"}),
        "config-escaping-volume": changed(config={**CONFIG, "Volumes": {"/../../../tmp/gridlet-escape-volume": {}}}),
        "config-no-command": changed(config={"Env": ENV}),
        "config-deep": deep,
        "config-not-json": b"\0\1\2 not json",
        "config-duplicate-keys": json.dumps(good).replace('"os":', '"os": "plan9", "os":').encode(),
    }


def outcome(name):
    """A signal that does not exist is a container that is stopped by SIGTERM, as if the image named none."""
    harmless = name in ("config-relative-workdir", "config-escaping-volume", "config-bad-signal")
    return hostile_layers.CONTAIN if harmless else hostile_layers.REFUSE


def push_all(publisher):
    for hostile in hostile_layers.all_layers():
        publisher.push([f"hostile/{hostile.name}:1"], [publisher.busybox, hostile.blob], CONFIG, hostile.outcome)
    for name, document in config_cases(publisher.busybox).items():
        reference = f"hostile/{name}:1"
        if publisher.wants(reference):
            publisher.registry.push(reference, with_config(publisher.busybox, document), outcome(name))
