# SPDX-License-Identifier: Apache-2.0
"""The S3 gateway with clients as they are, over HTTP and HTTPS; wrong keys, flipped bytes, kill -9."""
import hashlib
import os
import random
import socket
import subprocess
import threading

import pytest

from s3 import ACCESS, SECRET, Gateway
from botocore.exceptions import BotoCoreError, ClientError

CHUNK = 1 << 20
PART = 5 << 20
SIZES = [0, 1, 100, 8192, 8193, CHUNK, CHUNK + 1, 3 * CHUNK + 77]


@pytest.fixture(scope="module")
def gateway(programs, tmp_path_factory):
    gateway = Gateway(programs / "gridlet-s3", tmp_path_factory.mktemp("s3")).start()
    try:
        yield gateway
        gateway.stop()
    finally:
        if gateway.process.poll() is None:
            gateway.kill()


@pytest.fixture(params=["http", "https"])
def scheme(request):
    return request.param


@pytest.fixture
def bucket(gateway, request):
    """A bucket of the test's own, removed with all that is in it."""
    name = "b" + hashlib.md5(request.node.name.encode()).hexdigest()[:20]
    s3 = gateway.client()
    s3.create_bucket(Bucket=name)
    yield name
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if found:
            keys = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found]
            assert not s3.delete_objects(Bucket=name, Delete={"Objects": keys}).get("Errors")
    for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=name)


def refused(code, call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return caught.value.response


def data_of(n):
    return random.Random(n).randbytes(n)


@pytest.mark.parametrize("size", SIZES)
def test_boto3_reads_what_it_wrote(gateway, scheme, bucket, size):
    s3, data = gateway.client(scheme), data_of(size)
    put = s3.put_object(Bucket=bucket, Key="a/ü", Body=data, ContentType="text/x", Metadata={"who": "me"})
    got = s3.get_object(Bucket=bucket, Key="a/ü", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert got["ContentType"] == "text/x" and got["Metadata"] == {"who": "me"}
    assert s3.head_object(Bucket=bucket, Key="a/ü")["ContentLength"] == size
    if size > 2:
        part = s3.get_object(Bucket=bucket, Key="a/ü", Range=f"bytes=1-{size - 2}")
        assert part["Body"].read() == data[1:-1]
        assert part["ContentRange"] == f"bytes 1-{size - 2}/{size}"
        assert s3.get_object(Bucket=bucket, Key="a/ü", Range="bytes=-2")["Body"].read() == data[-2:]
    refused("InvalidRange", s3.get_object, Bucket=bucket, Key="a/ü", Range=f"bytes={size}-")


def test_conditions_are_kept(gateway, bucket):
    s3 = gateway.client()
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["ETag"]
    refused("304", s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=tag)
    refused("PreconditionFailed", s3.get_object, Bucket=bucket, Key="k", IfMatch='"' + "0" * 32 + '"')
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"two", IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=tag)
    refused("PreconditionFailed", s3.put_object, Bucket=bucket, Key="k", Body=b"three", IfMatch=tag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"


def test_what_is_not_there_has_its_own_error(gateway, bucket):
    s3 = gateway.client()
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="no")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket")
    refused("NoSuchUpload", s3.list_parts, Bucket=bucket, Key="k", UploadId="0" * 15 + "7")
    refused("NotImplemented", s3.get_bucket_replication, Bucket=bucket)


def test_lists_are_in_byte_order_page_by_page(gateway, bucket):
    s3 = gateway.client()
    keys = sorted(["foo/1", "foo/2", "foo+1", "a//b", "a", "a/b", "ü", "z" * 200], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for name in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        assert [o["Key"] for page in pages for o in page["Contents"]] == keys
    top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in top["CommonPrefixes"]] == ["a/", "foo/"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0


@pytest.mark.parametrize("algorithm", [None, "CRC32", "SHA256"])
def test_an_upload_in_parts(gateway, scheme, bucket, algorithm):
    s3 = gateway.client(scheme)
    extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
    parts = [data_of(PART), data_of(PART + 5), b"tail"]
    s3.put_object(Bucket=bucket, Key="source", Body=parts[1] + b"!")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="mp", **extra)["UploadId"]
    ids = dict(Bucket=bucket, Key="mp", UploadId=upload)
    listed = []
    for number, part in enumerate(parts):
        if number == 1:
            copied = s3.upload_part_copy(PartNumber=7, CopySource=f"{bucket}/source",
                                         CopySourceRange=f"bytes=0-{PART + 4}", **ids)
            listed.append({"PartNumber": 7, "ETag": copied["CopyPartResult"]["ETag"]})
        else:
            put = s3.upload_part(PartNumber=5 * number + 1, Body=part, **ids, **extra)
            listed.append({"PartNumber": 5 * number + 1, "ETag": put["ETag"]})
    assert [p["PartNumber"] for p in s3.list_parts(**ids)["Parts"]] == [1, 7, 11]
    bad = [dict(listed[0], ETag=listed[2]["ETag"])] + listed[1:]
    refused("InvalidPart", s3.complete_multipart_upload, MultipartUpload={"Parts": bad}, **ids)
    refused("InvalidPartOrder", s3.complete_multipart_upload, MultipartUpload={"Parts": listed[::-1]}, **ids)
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": listed}, **ids)
    digest = hashlib.md5(b"".join(hashlib.md5(p).digest() for p in parts)).hexdigest()
    assert done["ETag"] == f'"{digest}-3"'
    assert s3.get_object(Bucket=bucket, Key="mp")["Body"].read() == b"".join(parts)
    assert s3.get_object(Bucket=bucket, Key="mp", PartNumber=11)["Body"].read() == b"tail"
    refused("NoSuchUpload", s3.list_parts, **ids)


def test_versions_and_delete_markers(gateway, bucket):
    s3 = gateway.client()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    one, two = (s3.put_object(Bucket=bucket, Key="k", Body=b)["VersionId"] for b in (b"1", b"2"))
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="k")
    refused("MethodNotAllowed", s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=one)["Body"].read() == b"1"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(v["VersionId"], v["IsLatest"]) for v in listed] == [(two, True), (one, False)]


def test_tags_and_attributes(gateway, bucket):
    s3 = gateway.client()
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", Tagging="a=1&b=x%20y")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]
    assert s3.head_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "ü", "Value": "&"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "ü", "Value": "&"}]
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    refused("InvalidTag", s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=twice)
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    found = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "ObjectParts"])
    assert found["ObjectSize"] == 5 and found["ETag"] == hashlib.md5(b"hello").hexdigest()
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"


def test_copies(gateway, bucket):
    s3, data = gateway.client(), data_of(2 * CHUNK)
    s3.put_object(Bucket=bucket, Key="from", Body=data, Metadata={"a": "1"})
    s3.copy_object(Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    refused("InvalidRequest", s3.copy_object, Bucket=bucket, Key="to", CopySource=f"{bucket}/to")
    s3.delete_object(Bucket=bucket, Key="from")
    got = s3.get_object(Bucket=bucket, Key="to")
    assert got["Body"].read() == data and got["Metadata"] == {"a": "1"}


def test_wrong_keys_and_strangers_get_nothing(gateway, scheme, bucket):
    wrong = gateway.client(scheme, secret="another-secret")
    refused("SignatureDoesNotMatch", wrong.put_object, Bucket=bucket, Key="k", Body=b"x")
    refused("SignatureDoesNotMatch", wrong.list_buckets)
    done = subprocess.run(["curl", "-sk", "-w", "%{http_code}", "-T", "/etc/hostname",
                           f"{gateway.url(scheme)}/{bucket}/k"], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.endswith("403") and "<Code>AccessDenied</Code>" in done.stdout
    assert gateway.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_strangers_may_what_an_acl_lets_them(gateway, bucket):
    gateway.client().put_object(Bucket=bucket, Key="open", Body=b"hello", ACL="public-read")
    gateway.client().put_object(Bucket=bucket, Key="shut", Body=b"secret")
    get = ["curl", "-s", "-o", "-", "-w", "%{http_code}"]
    assert subprocess.check_output(get + [f"{gateway.url()}/{bucket}/open"]) == b"hello200"
    assert subprocess.check_output(get + [f"{gateway.url()}/{bucket}/shut"]).endswith(b"403")


def test_presigned_urls_and_hosts_as_buckets(gateway, bucket):
    s3 = gateway.client(signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert subprocess.check_output(["curl", "-s", url]) == b"hello"
    assert b"SignatureDoesNotMatch" in subprocess.check_output(["curl", "-s", url.replace("/k?", "/j?")])
    old = gateway.client().generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert "AWSAccessKeyId" in old and subprocess.check_output(["curl", "-s", old]) == b"hello"
    s3.put_object(Bucket=bucket, Key="open", Body=b"there", ACL="public-read")
    there = ["--resolve", f"{bucket}.localhost:{gateway.port}:127.0.0.1", f"http://{bucket}.localhost:{gateway.port}/open"]
    assert subprocess.check_output(["curl", "-s", *there]) == b"there"


def test_a_flipped_byte_is_refused_and_the_old_version_stays(gateway, bucket):
    """What was signed is sent with one bit of the body changed."""
    s3, data = gateway.client(), bytearray(data_of(CHUNK + 9))
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")

    def flip(request, **_):
        body = bytearray(request.body if isinstance(request.body, bytes) else request.body.read())
        body[len(body) // 2] ^= 1
        request.body = bytes(body)

    s3.meta.events.register("before-send.s3.PutObject", flip)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=bytes(data))
    assert caught.value.response["Error"]["Code"] in ("XAmzContentSHA256Mismatch", "BadDigest")
    assert gateway.client().get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"


def test_an_early_end_leaves_nothing(gateway, bucket):
    s3 = gateway.client(signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    target = url.split("/", 3)[3]
    for sent in (0, 1, CHUNK, CHUNK + 5):
        with socket.create_connection(("127.0.0.1", int(gateway.port))) as s:
            s.sendall(f"PUT /{target} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
                      f"Content-Length: {2 * CHUNK}\r\n\r\n".encode() + bytes(sent))
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def run(command, gateway, scheme="http"):
    done = subprocess.run(command, env=gateway.environment(scheme), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert done.returncode == 0, (command, done.stdout)
    return done.stdout


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    for at in range(30):
        file = tree / f"d{at % 3}" / f"file {at}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data_of(SIZES[at % len(SIZES)] + at - at % len(SIZES)))
    (tree / "big.bin").write_bytes(data_of(17 * CHUNK + 3))  # more than the clients' limits for one part
    for file in tree.rglob("*"):
        os.utime(file, (1e9, 1e9))  # S3's times have whole seconds: what is just written looks newer than its copy
    return tree


def same(one, other):
    subprocess.run(["diff", "-r", one, other], check=True)


def test_debians_aws_cli(gateway, scheme, bucket, tree, tmp_path):
    aws = ["/usr/bin/aws", "--endpoint-url", gateway.url(scheme), "--ca-bundle", str(gateway.certificate)]
    run([*aws, "s3", "sync", str(tree), f"s3://{bucket}/t"], gateway, scheme)
    assert run([*aws, "s3", "sync", str(tree), f"s3://{bucket}/t"], gateway, scheme) == ""
    run([*aws, "s3", "sync", f"s3://{bucket}/t", str(tmp_path / "back")], gateway, scheme)
    same(tree, tmp_path / "back")
    run([*aws, "s3", "cp", "--recursive", f"s3://{bucket}/t", f"s3://{bucket}/u"], gateway, scheme)
    run([*aws, "s3", "rm", "--recursive", f"s3://{bucket}/t"], gateway, scheme)
    assert "big.bin" in run([*aws, "s3", "ls", f"s3://{bucket}/u/"], gateway, scheme)


def test_s3cmd(gateway, scheme, bucket, tree, tmp_path):
    host = gateway.url(scheme).split("//")[1]
    s3cmd = ["s3cmd", f"--access_key={ACCESS}", f"--secret_key={SECRET}", f"--host={host}", f"--host-bucket={host}",
             "--ssl" if scheme == "https" else "--no-ssl", "--no-check-certificate", "--config=/dev/null", "--no-progress"]
    run([*s3cmd, "sync", f"{tree}/", f"s3://{bucket}/t/"], gateway, scheme)
    run([*s3cmd, "sync", f"s3://{bucket}/t/", f"{tmp_path}/back/"], gateway, scheme)
    same(tree, tmp_path / "back")
    run([*s3cmd, "cp", f"s3://{bucket}/t/big.bin", f"s3://{bucket}/copy"], gateway, scheme)
    run([*s3cmd, "del", "--recursive", "--force", f"s3://{bucket}/t/"], gateway, scheme)
    assert "copy" in run([*s3cmd, "ls", f"s3://{bucket}/"], gateway, scheme)


def test_rclone(gateway, scheme, bucket, tree, tmp_path):
    remote = (f":s3,provider=Other,access_key_id={ACCESS},secret_access_key={SECRET},region=us-east-1,"
              f"endpoint='{gateway.url(scheme)}':{bucket}/t")
    rclone = ["rclone", "--no-check-certificate", "--s3-upload-cutoff", "6M", "--s3-chunk-size", "5M"]
    run([*rclone, "sync", str(tree), remote], gateway, scheme)
    run([*rclone, "check", "--download", str(tree), remote], gateway, scheme)
    run([*rclone, "sync", remote, str(tmp_path / "back")], gateway, scheme)
    same(tree, tmp_path / "back")
    run([*rclone, "purge", remote], gateway, scheme)


def test_what_was_acknowledged_survives_kill_9(programs, tmp_path):
    gateway = Gateway(programs / "gridlet-s3", tmp_path).start()
    gateway.client().create_bucket(Bucket="kept")
    acknowledged, lock = {}, threading.Lock()

    def write(worker, until):
        s3, numbers = gateway.client(), random.Random(worker)
        for at in range(10000):
            data = numbers.randbytes(numbers.choice([10, 4096, 9000, CHUNK + 5]))
            try:
                s3.put_object(Bucket="kept", Key=f"{worker}/{at % 50}", Body=data)
            except (ClientError, BotoCoreError, OSError):
                with lock:
                    acknowledged.setdefault(f"{worker}/{at % 50}", [None]).append(data)  # nobody knows
                return
            with lock:
                acknowledged[f"{worker}/{at % 50}"] = [data]
                if sum(map(len, acknowledged.values())) >= until:
                    enough.set()

    try:
        for round_at in range(3):
            enough = threading.Event()
            workers = [threading.Thread(target=write, args=(f"r{round_at}w{n}", 30 * (round_at + 1))) for n in range(4)]
            for worker in workers:
                worker.start()
            assert enough.wait(120)
            gateway.kill()
            for worker in workers:
                worker.join()
            gateway.start()
            s3 = gateway.client()
            for key, allowed in acknowledged.items():
                try:
                    found = s3.get_object(Bucket="kept", Key=key)["Body"].read()
                except s3.exceptions.NoSuchKey:
                    found = None
                assert found in allowed, key
        gateway.stop()
    finally:
        if gateway.process.poll() is None:
            gateway.kill()
    assert os.path.getsize(gateway.logfile) > 0
