# SPDX-License-Identifier: Apache-2.0
"""Checks the test registries themselves: a lie that is not told proves nothing."""
import base64
import http.client
import json
import ssl
import subprocess
import tarfile
import threading
import time
import urllib.parse
from io import BytesIO

import pytest

import hostile_layers
import lying_faults as faults
import tarball
from layers import Layer, multi_gzipped, multi_zstd
from lying_auth import BasicAuth, TokenAuth
from lying_registry import RANGES_IGNORE, RANGES_WRONG, LyingRegistry, make_certificate
from lying_scenarios import SCENARIOS, honest
from push import Registry as Pusher
from push import digest, image_of, layer_blob
from registry import Registry


def get(registry, path, headers=None, method="GET", body=None):
    connection = http.client.HTTPConnection(registry.address, timeout=10)
    connection.request(method, path, body, headers or {})
    return connection.getresponse()


@pytest.fixture
def lying():
    with LyingRegistry() as registry:
        registry.image = honest(registry)
        registry.big = registry.image.blobs[2]
        registry.path = f"/v2/lie/image/blobs/{registry.big.digest}"
        yield registry


def test_an_honest_registry_serves_manifest_and_blobs(lying):
    manifest = get(lying, "/v2/lie/image/manifests/1")
    assert manifest.getheader("Docker-Content-Digest") == lying.image.digest
    assert digest(manifest.read()) == lying.image.digest
    assert digest(get(lying, lying.path).read()) == lying.big.digest
    assert get(lying, "/v2/lie/image/manifests/2").status == 404
    assert [request.route for request in lying.requests] == ["manifest", "blob", "manifest"]
    assert lying.asked("blob")[0].sent_bytes == lying.big.size


def test_faults_count_down_and_skip(lying):
    lying.fault(faults.status(500), times=2, skip=1)
    assert [get(lying, lying.path).status for _ in range(4)] == [200, 500, 500, 200]


def test_a_cut_connection_resumes_by_range(lying):
    lying.fault(faults.cut(1000), times=1)
    with pytest.raises(http.client.IncompleteRead) as cut:
        get(lying, lying.path).read()
    first = cut.value.partial
    answer = get(lying, lying.path, {"Range": f"bytes={len(first)}-"})
    assert (len(first), answer.status) == (1000, 206)
    assert digest(first + answer.read()) == lying.big.digest
    assert get(lying, lying.path, {"Range": f"bytes={lying.big.size}-"}).status == 416


@pytest.mark.parametrize("mode, status", [(RANGES_IGNORE, 200), (RANGES_WRONG, 206)])
def test_ranges_can_be_ignored_or_wrong(lying, mode, status):
    lying.ranges = mode
    answer = get(lying, lying.path, {"Range": "bytes=1000-"})
    assert answer.status == status
    assert answer.read() != lying.big.data[1000:]


def test_a_stalled_body_stops_and_ends_with_the_server(lying):
    lying.fault(faults.stall(1000))
    answer = get(lying, lying.path)
    assert len(answer.read(1000)) == 1000
    stopper = threading.Timer(0.3, lying.closing.set)
    stopper.start()
    began = time.monotonic()
    answer.read(1)
    assert time.monotonic() - began > 0.2


def test_an_endless_body_goes_on_past_the_blob(lying):
    lying.fault(faults.endless_body())
    answer = get(lying, lying.path)
    assert len(answer.read(20 << 20)) == 20 << 20
    answer.close()


def test_a_redirect_shows_whether_credentials_were_forwarded(lying):
    with LyingRegistry(store=lying.store) as other:
        lying.fault(faults.redirect(lambda path: other.url + path))
        answer = get(lying, lying.path, {"Authorization": "Basic eDp5"})
        location = urllib.parse.urlsplit(answer.getheader("Location"))
        assert answer.status == 307
        assert get(other, location.path).status == 200
        assert "authorization" not in other.requests[0].headers


def test_basic_auth_wants_the_right_password(lying):
    lying.auth = BasicAuth("alice", "secret")

    def status(password):
        value = base64.b64encode(f"alice:{password}".encode()).decode()
        return get(lying, "/v2/", {"Authorization": f"Basic {value}"}).status

    assert (get(lying, "/v2/").status, status("wrong"), status("secret")) == (401, 401, 200)


def token_of(registry, query, headers=None):
    answer = get(registry, "/token?" + urllib.parse.urlencode(query), headers)
    return json.loads(answer.read())["token"]


def test_bearer_tokens_have_a_scope_and_an_end(lying):
    lying.auth = TokenAuth(anonymous=True, uses=2)
    assert get(lying, lying.path).getheader("WWW-Authenticate") == (
        f'Bearer realm="{lying.url}/token",service="lying",scope="repository:lie/image:pull"'
    )
    wrong = {"Authorization": "Bearer " + token_of(lying, {"scope": "repository:other:pull"})}
    right = {"Authorization": "Bearer " + token_of(lying, {"scope": "repository:lie/image:pull"})}
    assert 'error="insufficient_scope"' in get(lying, lying.path, wrong).getheader("WWW-Authenticate")
    assert [get(lying, lying.path, right).status for _ in range(3)] == [200, 200, 401]


def test_identity_tokens_are_taken_by_post(lying):
    lying.auth = TokenAuth(users={"alice": "secret"}, identity_tokens=True)
    identity = lying.auth.identity_token("alice")
    scope = "repository:lie/image:pull"
    form = {"grant_type": "refresh_token", "refresh_token": identity, "scope": scope, "service": "lying"}
    answer = get(lying, "/token", method="POST", body=urllib.parse.urlencode(form))
    token = json.loads(answer.read())["token"]
    assert get(lying, lying.path, {"Authorization": f"Bearer {token}"}).status == 200
    form["refresh_token"] = "stolen"
    assert get(lying, "/token", method="POST", body=urllib.parse.urlencode(form)).status == 400


def test_tls_uses_the_certificate(tmp_path):
    certificate, key = make_certificate(tmp_path)
    with LyingRegistry(tls=(certificate, key)) as registry:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection(registry.address, timeout=10, context=context)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200


def test_every_scenario_prepares_an_image():
    for scenario in SCENARIOS.values():
        registry = LyingRegistry()
        scenario.prepare(registry)
        registry.server.server_close()
        assert registry.store.manifests


def test_packed_layers_unpack_to_the_same_archive():
    layer = Layer().file("a", b"a" * 10_000).symlink("b", "a").hardlink("c", "a").whiteout("d/e").opaque("d")
    tar = layer.tar()
    unpack = {"gzip": multi_gzipped(tar), "zstd": multi_zstd(tar)}
    for command, data in unpack.items():
        assert subprocess.run([command, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout == tar
    names = tarfile.open(fileobj=BytesIO(tar)).getnames()
    assert names == ["a", "b", "c", "d", "d/.wh.e", "d/.wh..wh..opq"]


def test_the_tar_writer_agrees_with_pythons_reader():
    long_name = "/".join(["n" * 99] * 5)
    sparse = tarball.pax_sparse_member("sparse", [(512, b"x" * 512), (4096, b"")], 4096)
    entries = [
        tarball.member(tarball.Entry(long_name, data=b"long")),
        tarball.gnu_long_member(tarball.Entry(long_name + "-gnu", data=b"gnu")),
        tarball.member(tarball.Entry("big-id", uid=3_000_000_000, mtime=4102444800)),
        sparse,
    ]
    archive = tarfile.open(fileobj=BytesIO(tarball.archive(entries)))
    assert archive.getnames() == [long_name, long_name + "-gnu", "big-id", "sparse"]
    assert archive.getmember("big-id").uid == 3_000_000_000
    assert archive.extractfile("sparse").read() == bytes(512) + b"x" * 512 + bytes(3072)


def test_hostile_layers_have_names_of_their_own():
    names = [hostile.name for hostile in hostile_layers.all_layers()]
    assert len(names) == len(set(names)) > 40


def test_docker_registry_serves_what_was_pushed(tmp_path):
    image = image_of([layer_blob(Layer().file("a", "b"))])
    with Registry(tmp_path) as registry:
        Pusher(registry.address).push("some/image:1", image)
    with Registry(tmp_path) as registry:
        answer = get(registry, "/v2/some/image/manifests/1", {"Accept": image.media_type})
        assert answer.getheader("Docker-Content-Digest") == image.digest
