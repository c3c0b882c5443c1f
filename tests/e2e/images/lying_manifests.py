# SPDX-License-Identifier: Apache-2.0
"""Manifests that no image should have. Each function takes an honest push.Image and gives (media type, bytes)."""
import copy
import json

from push import DOCKER, OCI, digest, dump

ANNOTATION_BYTES = 64 << 20


def edited(image, edit):
    """The image's manifest after edit(document)."""
    document = copy.deepcopy(json.loads(image.manifest))
    edit(document)
    return image.media_type, dump(document)


def with_layer(image, **fields):
    """The last layer's descriptor with other fields."""
    return edited(image, lambda document: document["layers"][-1].update(fields))


def huge(image):
    """Valid, but 64 MiB of it is an annotation."""
    return edited(image, lambda document: document.update(annotations={"filler": "x" * ANNOTATION_BYTES}))


def deep(image, depth=100_000):
    """Valid JSON with arrays in arrays."""
    head = image.manifest.rstrip()[:-1]
    return image.media_type, head + b', "annotations": ' + b"[" * depth + b"]" * depth + b"}"


def many_layers(image, count=20_000):
    return edited(image, lambda document: document.update(layers=document["layers"][-1:] * count))


def schema1(image):
    """Docker's first format, which has been gone since 2018."""
    layer = image.layer_blobs[0].digest
    document = {
        "schemaVersion": 1,
        "name": "lie/image",
        "tag": "1",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": layer}],
        "history": [{"v1Compatibility": json.dumps({"id": "0" * 64, "os": "linux"})}],
        "signatures": [],
    }
    return "application/vnd.docker.distribution.manifest.v1+prettyjws", dump(document)


def index_of_descriptors(descriptors, types=OCI):
    return types["index"], dump({"schemaVersion": 2, "mediaType": types["index"], "manifests": descriptors})


def only_others(image):
    """An index of platforms that are not this one."""
    platforms = (
        {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"},
        {"os": "linux", "architecture": "s390x"},
        {"os": "linux", "architecture": "arm", "variant": "v5"},
        {"os": "plan9", "architecture": "amd64"},
    )
    return index_of_descriptors([image.descriptor(platform=platform) for platform in platforms], DOCKER)


def index_of_blob(_image):
    """An index whose entry for this platform is 8 EiB large."""
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"mediaType": OCI["manifest"], "size": (8 << 60) - 1, "digest": digest(b"x"), "platform": platform}
    return index_of_descriptors([entry])


def many_platforms(image, count=50_000):
    platform = {"os": "linux", "architecture": "s390x"}
    return index_of_descriptors([image.descriptor(platform=platform)] * count)


def duplicate_layers(image):
    """`layers` twice: parsers that disagree about which one counts can be played against each other."""
    head = image.manifest.rstrip()[:-1]
    return image.media_type, head + b', "layers": []}'


def html(_image):
    """The login page of a captive portal."""
    return "text/html", b"<!DOCTYPE html><html><body>Please log in</body></html>"


BROKEN = {
    "huge": huge,
    "deep": deep,
    "many-layers": many_layers,
    "schema1": schema1,
    "only-others": only_others,
    "index-of-8eib": index_of_blob,
    "many-platforms": many_platforms,
    "duplicate-layers": duplicate_layers,
    "html": html,
    "empty": lambda image: (image.media_type, b""),
    "not-json": lambda image: (image.media_type, b"\0\1\2\3"),
    "cut-json": lambda image: (image.media_type, image.manifest[:-10]),
    "nul-in-json": lambda image: (image.media_type, image.manifest.replace(b"sha256:", b"sha256\\u0000:", 1)),
    "bad-utf8": lambda image: (image.media_type, image.manifest.replace(b"sha256:", b"sha\xff\xfe:", 1)),
    "trailing-json": lambda image: (image.media_type, image.manifest + image.manifest),
    "size-negative": lambda image: with_layer(image, size=-1),
    "size-8eib": lambda image: with_layer(image, size=(8 << 60) - 1),
    "size-overflow": lambda image: with_layer(image, size=1 << 70),
    "size-fraction": lambda image: with_layer(image, size=1.5),
    "size-text": lambda image: with_layer(image, size="12"),
    "size-small": lambda image: with_layer(image, size=image.layer_blobs[-1].size - 1),
    "size-large": lambda image: with_layer(image, size=image.layer_blobs[-1].size + 1),
    "digest-path": lambda image: with_layer(image, digest="sha256:../../../../../../etc/passwd"),
    "digest-url": lambda image: with_layer(image, digest="sha256:" + "0" * 62 + "?x"),
    "digest-short": lambda image: with_layer(image, digest="sha256:abcd"),
    "digest-upper": lambda image: with_layer(image, digest=image.layer_blobs[-1].digest.upper().replace("SHA", "sha")),
    "digest-algorithm": lambda image: with_layer(image, digest="md5:" + "0" * 32),
    "digest-missing": lambda image: with_layer(image, digest=None),
    "layer-type": lambda image: with_layer(image, mediaType="application/vnd.oci.image.layer.v1.tar+lzma"),
    "layer-encrypted": lambda image: with_layer(image, mediaType=OCI["gzip"] + "+encrypted"),
    "config-is-layer": lambda image: edited(image, lambda document: document.update(config=document["layers"][0])),
    "no-config": lambda image: edited(image, lambda document: document.pop("config")),
    "no-layers": lambda image: edited(image, lambda document: document.pop("layers")),
    "schema-version-3": lambda image: edited(image, lambda document: document.update(schemaVersion=3)),
    "artifact": lambda image: edited(image, lambda document: document.update(
        artifactType="application/x-not-an-image",
        config={"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": digest(b"{}")},
    )),
}
