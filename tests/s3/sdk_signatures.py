#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets a real SDK, botocore, sign requests in every way it can, and has auth_check verify them.

    sdk_signatures.py AUTH_CHECK

Nothing is sent: requests are caught before they leave. Each accepted request is tried again with one byte of its
signature changed, which must be refused. botocore comes from the folder that scripts/deps.sh test fills.
"""
import base64
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

sys.path.insert(0, os.environ.get("GRIDLET_PYTHON_PACKAGES", "/var/cache/gridlet/python"))
try:
    import botocore.auth
    import botocore.awsrequest
    import botocore.config
    import botocore.credentials
    import botocore.session
except ImportError:
    sys.exit("sdk_signatures: botocore is missing: run scripts/deps.sh test")

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ODD_KEYS = ["a", "a b", "a+b", "a%20b", "a//b", "./a/../b", "é/ü", "日本語", "a&b=c?d#e", "~-._", "!'()*", "x" * 900,
            "a\tb", "a;b,c:d@e$f", "[x]{y}|z\\", "😀"]
ODD_VALUES = ["", "a", "a b", "a+b", "a/b", "é", "=&", "%", "~", "*"]
V4_HEADER, V4_QUERY, V4_POST, V2_HEADER, V2_QUERY, V2_POST = range(1, 7)
PLAIN, SHA, TRAILER = 0, 1, 4  # enum s3_auth_payload


class Checker:
    """Talks to one auth_check; counts."""

    def __init__(self, program):
        self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.accepted = self.refused = 0
        self.payloads = set()

    def ask(self, request):
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def must(self, what, request, kind, payload=None, body=b""):
        got = self.ask(request).split()
        if got[:2] != ["ok", str(kind)] or (payload is not None and got[2] != str(payload)):
            sys.exit(f"sdk_signatures: {what}: {' '.join(got)}\n{json.dumps(request, indent=1)[:4000]}")
        if got[3] != hashlib.sha256(body).hexdigest():
            sys.exit(f"sdk_signatures: {what}: the decoded body is another one")
        self.accepted += 1
        self.payloads.add(int(got[2]))
        forged = forge(request)
        answer = self.ask(forged)
        if not answer.startswith(("SignatureDoesNotMatch", "InvalidToken")):
            sys.exit(f"sdk_signatures: {what}, forged: {answer}\n{json.dumps(forged, indent=1)[:4000]}")
        self.refused += 1

    def finish(self):
        self.child.stdin.close()
        if self.child.wait() != 0:
            sys.exit("sdk_signatures: auth_check failed")


def other(character):
    return "B" if character == "A" else "A" if character.isupper() else "1" if character == "0" else "0"


def forge(request):
    """The same request with one character of its signature changed."""
    forged = json.loads(json.dumps(request))
    for mark in ("X-Amz-Signature=", "Signature="):
        at = forged.get("query", "").find(mark)
        if at >= 0:
            at += len(mark)
            if forged["query"][at] == "%":  # an escape
                at += 3
            forged["query"] = forged["query"][:at] + other(forged["query"][at]) + forged["query"][at + 1:]
            return forged
    for pair in forged["headers"]:
        if pair[0].lower() == "authorization":
            at = max(pair[1].find("Signature=") + len("Signature="), pair[1].rfind(":") + 1)
            pair[1] = pair[1][:at] + other(pair[1][at]) + pair[1][at + 1:]
            return forged
    for pair in forged["fields"]:
        if pair[0].lower() in ("signature", "x-amz-signature"):
            pair[1] = other(pair[1][0]) + pair[1][1:]
    return forged


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def as_request(method, url, headers, body=b"", **more):
    parts = urlsplit(url)
    pairs = [[text(name), text(value)] for name, value in headers.items()]
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.append(["Host", parts.netloc])
    bucket = "bkt" if parts.netloc.startswith("bkt.") else None  # what the client chose: some calls have one style only
    return {"method": method, "vhost": bucket, "path": parts.path or "/", "query": parts.query, "headers": pairs, "now": int(time.time()),
            "body": base64.b64encode(body).decode(), **more}


class Caught(Exception):
    pass


def catch(client):
    """Makes the client hand over its requests instead of sending them."""
    caught = []

    def before_send(request, **_):
        caught.append(request)
        raise Caught()

    client.meta.events.register("before-send", before_send)
    return caught


def client_of(scheme, style, signature, token, service="s3"):
    session = botocore.session.Session()
    session.set_credentials(KEY, SECRET, token)
    options = {"s3": {"addressing_style": style}, "retries": {"max_attempts": 0}, "parameter_validation": True}
    if signature:
        options["signature_version"] = signature
    return session.create_client(service, region_name="us-east-1", endpoint_url=f"{scheme}://s3.example.net:9000",
                                 config=botocore.config.Config(**options), verify=False)


def body_of(request):
    body = request.body
    if body is None:
        return b""
    if isinstance(body, (bytes, bytearray, str)):
        return body.encode() if isinstance(body, str) else bytes(body)
    return body.read()


def calls(client):
    """(name, arguments, payload) of operations as applications use them."""
    data = os.urandom(70000)
    for key in ODD_KEYS:
        yield "get_object", {"Bucket": "bkt", "Key": key}, b""
    yield "put_object", {"Bucket": "bkt", "Key": "k", "Body": data}, data
    yield "put_object", {"Bucket": "bkt", "Key": "k", "Body": io.BytesIO(data)}, data
    yield "put_object", {"Bucket": "bkt", "Key": "empty", "Body": b""}, b""
    yield "put_object", {"Bucket": "bkt", "Key": "k", "Body": data, "ChecksumAlgorithm": "SHA256", "ACL": "public-read",
                         "ContentType": "text/plain; charset=utf-8", "Metadata": {"a": "b  c", "é".encode().hex(): "x"},
                         "Tagging": "a=b&c=d%20e", "StorageClass": "STANDARD"}, data
    yield "upload_part", {"Bucket": "bkt", "Key": "k", "UploadId": "u+/=", "PartNumber": 3, "Body": data}, data
    yield "create_multipart_upload", {"Bucket": "bkt", "Key": "a b"}, b""
    yield "abort_multipart_upload", {"Bucket": "bkt", "Key": "a b", "UploadId": "x"}, b""
    yield "copy_object", {"Bucket": "bkt", "Key": "k", "CopySource": {"Bucket": "b2", "Key": "ü /x", "VersionId": "v"}}, b""
    for value in ODD_VALUES:
        yield "list_objects_v2", {"Bucket": "bkt", "Prefix": value, "Delimiter": "/", "MaxKeys": 7}, b""
    yield "list_objects", {"Bucket": "bkt", "Marker": "ü+ /"}, b""
    yield "list_object_versions", {"Bucket": "bkt", "KeyMarker": "a&b"}, b""
    yield "list_buckets", {}, b""
    yield "head_object", {"Bucket": "bkt", "Key": "k", "Range": "bytes=0-1", "IfNoneMatch": '"x"'}, b""
    yield "get_bucket_location", {"Bucket": "bkt"}, b""
    yield "get_bucket_versioning", {"Bucket": "bkt"}, b""
    yield "get_object", {"Bucket": "bkt", "Key": "k", "ResponseContentDisposition": 'attachment; filename="a+b ü.txt"',
                         "VersionId": "v1"}, b""
    yield "delete_object", {"Bucket": "bkt", "Key": "k", "VersionId": "null"}, b""
    yield "delete_objects", {"Bucket": "bkt", "Delete": {"Objects": [{"Key": "a<b"}]}}, None


def whole_requests(checker):
    """What the client sends, over both transports, in both styles, with both signatures."""
    for scheme, style, signature, token in itertools.product(("http", "https"), ("path", "virtual"), ("s3v4", "s3"),
                                                             (None, "tok/en+==")):
        client = client_of(scheme, style, signature, token)
        caught = catch(client)
        for name, arguments, payload in calls(client):
            try:
                getattr(client, name)(**arguments)
            except Caught:
                pass
            sent = caught.pop()
            body = body_of(sent)
            v4 = signature == "s3v4"
            request = as_request(sent.method, sent.url, dict(sent.headers.items()), body, token=token)
            if payload is None:
                payload = body
            checker.must(f"{scheme} {style} {signature} {name} {str(arguments)[:60]}", request,
                         V4_HEADER if v4 else V2_HEADER, None, payload)


def presigned(checker):
    for style, signature, token in itertools.product(("path", "virtual"), ("s3v4", "s3", None), (None, "tok/en+==")):
        client = client_of("http", style, signature, token)
        for key in ODD_KEYS:
            rows = [("get_object", "GET", {}), ("head_object", "HEAD", {}), ("delete_object", "DELETE", {}),
                    ("get_object", "GET", {"ResponseContentType": "text/html; x=ü+", "VersionId": "1"}),
                    ("put_object", "PUT", {}), ("put_object", "PUT", {"ContentType": "a/b", "ACL": "private"}),
                    ("upload_part", "PUT", {"UploadId": "a b", "PartNumber": 1})]
            for name, method, more in rows:
                url = client.generate_presigned_url(name, Params={"Bucket": "bkt", "Key": key, **more}, ExpiresIn=60)
                headers = {}
                if signature == "s3v4" and "ContentType" in more:
                    headers = {"Content-Type": "a/b"}
                query = urlsplit(url).query
                v4 = "X-Amz-Signature" in query
                if v4 and "ContentType" in more and "x-amz-acl" in query.lower().split("signedheaders=")[-1]:
                    headers["x-amz-acl"] = "private"
                request = as_request(method, url, headers, token=token)
                checker.must(f"presigned {style} {signature} {name} {key[:20]} {more}", request,
                             V4_QUERY if v4 else V2_QUERY)


def forms(checker):
    for signature, token in itertools.product(("s3v4", "s3", None), (None, "tok/en+==")):
        client = client_of("http", "path", signature, token)
        post = client.generate_presigned_post("bkt", "up/${filename}", Fields={"acl": "private", "x-amz-meta-a": "ü"},
                                              Conditions=[{"acl": "private"}, ["starts-with", "$x-amz-meta-a", ""],
                                                          ["content-length-range", 1, 10]], ExpiresIn=60)
        fields = [[name, value.replace("${filename}", "a.txt")] for name, value in post["fields"].items()]
        request = as_request("POST", post["url"], {}, token=token, bucket="bkt", fields=fields)
        v4 = any(name == "x-amz-signature" for name, _ in fields)
        checker.must(f"form {signature} {token}", request, V4_POST if v4 else V2_POST)


def other_services(checker):
    for service, call, arguments in (("sts", "assume_role", {"RoleArn": "arn:aws:iam::111122223333:role/x",
                                                             "RoleSessionName": "name"}),
                                     ("iam", "list_users", {"PathPrefix": "/ü/"})):
        client = client_of("http", "path", None, None, service)
        caught = catch(client)
        try:
            getattr(client, call)(**arguments)
        except Caught:
            pass
        sent = caught.pop()
        request = as_request(sent.method, sent.url, dict(sent.headers.items()), body_of(sent), service=service)
        checker.must(f"{service} {call}", request, V4_HEADER, SHA, body_of(sent))


def main():
    checker = Checker(sys.argv[1])
    for part in (whole_requests, presigned, forms, other_services):
        part(checker)
    checker.finish()
    if checker.payloads != {PLAIN, SHA, TRAILER}:
        sys.exit(f"sdk_signatures: the SDK sent only the payload modes {checker.payloads}")
    print(f"botocore {botocore.__version__}: {checker.accepted} requests accepted, {checker.refused} forged ones refused")


if __name__ == "__main__":
    main()
