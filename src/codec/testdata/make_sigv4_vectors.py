#!/usr/bin/python3
"""Writes sigv4_vectors.inc: requests signed by botocore, for sigv4_test.cc and sigv2_test.cc.

Offline and deterministic. Needs botocore (Debian: python3-botocore). Run it in this folder:
    /usr/bin/python3 make_sigv4_vectors.py
"""

import datetime
import hashlib
import random
import time
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import botocore.auth as auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEJr//////////wEaDH+token/with=odd&chars"

SEGMENTS = ["photos", "a b", "ü", "日本", "%", "%2F", "a+b", "..", ".", "~t.x_y-z", "q?", "h#", "a=b&c",
            "'(!*)", "é\u0301", "😀", ":@", "[x]", "tab\t", "\\"]
NAMES = ["prefix", "list-type", "delimiter", "uploads", "X-y", "x_y", "a b", "ü", "marker", "A", "a", "aa",
         "max-keys", "versionId"]
VALUES = ["", "1", "a/b", "a b", "+", "%", "ü", "日本", "a=b", "a&b", "~", "..", "*", "'", "\"q\"", "/", "1000"]
HEADER_VALUES = ["v", "  padded  ", "in   ner", "a,b", "tab\there", "\"quo  ted\"", "ünï", "", "a;b=c",
                 "x" * 100]


class FrozenTime(datetime.datetime):
    now_value = datetime.datetime(2026, 1, 2, 3, 4, 5)

    @classmethod
    def utcnow(cls):
        return cls.now_value


@dataclass
class Vector:
    kind: str  # kHeader, kQuery, kV2Query
    service: str
    region: str
    token: str
    now: int
    method: str
    path: str = ""
    query: str = ""
    base_query: str = ""  # before signing
    headers: list = field(default_factory=list)
    base_headers: list = field(default_factory=list)
    body_sha256: str = ""
    payload_hash: str = ""  # as the canonical request has it; not for V2
    canonical: str = ""
    string_to_sign: str = ""
    signature: str = ""
    expires: int = 0


def c_string(text: str) -> str:
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in "\"\\?":
            out.append("\\" + char)
        elif 0x20 <= byte < 0x7F:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def c_headers(headers: list) -> str:
    return "{" + ", ".join(f"{{{c_string(k)}, {c_string(v)}}}" for k, v in headers) + "}"


def emit(v: Vector) -> str:
    return (f"{{.kind = Kind::{v.kind}, .service = {c_string(v.service)}, .region = {c_string(v.region)}, "
            f".token = {c_string(v.token)}, .now_ms = {v.now * 1000}, .method = {c_string(v.method)}, "
            f".path = {c_string(v.path)}, .query = {c_string(v.query)}, "
            f".base_query = {c_string(v.base_query)}, "
            f".headers = {c_headers(v.headers)}, .base_headers = {c_headers(v.base_headers)}, "
            f".body_sha256 = {c_string(v.body_sha256)}, .payload_hash = {c_string(v.payload_hash)}, "
            f".canonical = {c_string(v.canonical)}, .string_to_sign = {c_string(v.string_to_sign)}, "
            f".signature = {c_string(v.signature)}, .expires_s = {v.expires}}},")


def random_path(rng: random.Random, service: str) -> str:
    segments = [rng.choice(SEGMENTS) for _ in range(rng.randint(0, 4))]
    path = "/" + "/".join(segments)
    if rng.random() < 0.2:
        path += "/"
    if rng.random() < 0.15:
        path = path.replace("/", "//", 1)
    if service != "s3" and rng.random() < 0.4:
        path = "/123456789012/" + rng.choice(["queue", "q.fifo", "my_queue-1"])
    return quote(path, safe="/-._~")


def random_query(rng: random.Random) -> str:
    pairs = []
    for _ in range(rng.choice([0, 0, 1, 2, 3, 6])):
        name = quote(rng.choice(NAMES), safe="-._~")
        pairs.append(name + "=" + quote(rng.choice(VALUES), safe="-._~"))
    return "&".join(pairs)


def random_headers(rng: random.Random, service: str) -> list:
    headers = []
    for _ in range(rng.randint(0, 3)):
        name = rng.choice(["X-Amz-Meta-A", "x-amz-meta-b-c", "X-Custom", "Content-MD5", "Range", "X-Amz-Acl"])
        headers.append((name, rng.choice(HEADER_VALUES)))
    if rng.random() < 0.5:
        kinds = ["text/plain; charset=utf-8", "application/x-amz-json-1.0"]
        headers.append(("Content-Type", rng.choice(kinds)))
    if service == "sqs" and rng.random() < 0.5:
        headers.append(("X-Amz-Target", "AmazonSQS.SendMessage"))
    if rng.random() < 0.5:
        headers.append(("User-Agent", "Boto3/1.26 not signed"))
    if rng.random() < 0.2:
        headers.append(("Expect", "100-continue"))
    return headers


def make(rng: random.Random, kind: str, service: str) -> Vector:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5) + datetime.timedelta(seconds=rng.randint(0, 3 * 365 * 86400))
    FrozenTime.now_value = now
    epoch = int(now.replace(tzinfo=datetime.timezone.utc).timestamp())
    token = TOKEN if rng.random() < 0.3 else ""
    region = rng.choice(["us-east-1", "eu-central-1", "local"])
    method = rng.choice(["GET", "PUT", "POST", "HEAD", "DELETE"])
    host, host_header = rng.choice([("127.0.0.1:9324", None), ("s3.example", None),
                                    ("bucket.s3.example:443", "bucket.s3.example")])
    scheme = "https" if host.endswith(":443") else "http"
    path, base_query = random_path(rng, service), random_query(rng)
    base_headers = random_headers(rng, service)
    body = rng.choice([b"", b"hello", b"\x00\xff" * 50])
    if kind != "kHeader":
        body = b""
    url = f"{scheme}://{host}{path}" + ("?" + base_query if base_query else "")
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in base_headers:
        request.headers.add_header(name, value)
    form = rng.random()
    if service == "s3" and kind == "kHeader" and form < 0.15:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer", "algorithm": "crc32"}}
    elif service == "s3" and kind == "kHeader" and form < 0.3:
        request.context["payload_signing_enabled"] = False
        if "Content-MD5" not in request.headers:
            request.headers.add_header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")
    base = [(n, v) for n, v in request.headers.items()]
    expires = rng.choice([1, 60, 3600, 604800])
    signers = {
        ("kHeader", "s3"): lambda c: auth.S3SigV4Auth(c, service, region),
        ("kHeader", "sqs"): lambda c: auth.SigV4Auth(c, service, region),
        ("kQuery", "s3"): lambda c: auth.S3SigV4QueryAuth(c, service, region, expires=expires),
        ("kQuery", "sqs"): lambda c: auth.SigV4QueryAuth(c, service, region, expires=expires),
    }
    signer = signers[kind, service](Credentials(ACCESS_KEY, SECRET, token or None))
    vector = Vector(kind=kind, service=service, region=region, token=token, now=epoch, method=method)
    keep = signer.string_to_sign

    def string_to_sign(req, canonical_request):
        vector.canonical = canonical_request
        vector.string_to_sign = keep(req, canonical_request)
        return vector.string_to_sign

    signer.string_to_sign = string_to_sign
    signer.add_auth(request)
    split = urlsplit(request.url)
    vector.path, vector.query, vector.base_query = split.path, split.query, base_query
    sent_host = auth._host_from_url(url)
    assert host_header is None or sent_host == host_header
    vector.headers = [("Host", sent_host)] + [(n, v) for n, v in request.headers.items()]
    # Only what botocore signs: our signer signs all it is given.
    vector.base_headers = [("Host", sent_host)] + [
        (n, v) for n, v in base
        if n.lower() not in auth.SIGNED_HEADERS_BLACKLIST]
    vector.body_sha256 = hashlib.sha256(body).hexdigest()
    vector.payload_hash = vector.canonical.rsplit("\n", 1)[1]
    if kind == "kHeader":
        vector.signature = request.headers["Authorization"].rsplit("Signature=", 1)[1]
    else:
        vector.signature = vector.query.rsplit("X-Amz-Signature=", 1)[1]
        # botocore keeps one of several parameters of the same name.
        vector.base_query = vector.query.split("X-Amz-Algorithm=", 1)[0].rstrip("&")
        vector.expires = expires
    return vector


V2_SUB = ["", "", "acl", "uploads", "uploadId=a%2Fb&partNumber=3", "versionId=null",
          "prefix=a%20b&delimiter=%2F",
          "response-content-type=text%2Fplain"
          "&response-content-disposition=attachment%3B%20filename%3D%22a%20b%22",
          "tagging", "x-id=GetObject", "versionId=1&acl"]


def make_v2(rng: random.Random) -> Vector:
    epoch = 1767323045 + rng.randint(0, 86400 * 365)
    token = TOKEN if rng.random() < 0.3 else ""
    expires = rng.choice([1, 60, 3600, 604800])
    method = rng.choice(["GET", "PUT", "HEAD", "DELETE"])
    path, base_query = "/bucket" + random_path(rng, "s3"), rng.choice(V2_SUB)
    url = f"http://127.0.0.1:9324{path}" + ("?" + base_query if base_query else "")
    request = AWSRequest(method=method, url=url)
    for name, value in [("Content-Type", "text/plain"), ("x-amz-acl", "private"), ("X-Amz-Meta-A", " b c "),
                        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")]:
        if rng.random() < 0.3:
            request.headers[name] = value
    base = [(n, v) for n, v in request.headers.items()]
    signer = auth.HmacV1QueryAuth(Credentials(ACCESS_KEY, SECRET, token or None), expires=expires)
    vector = Vector(kind="kV2Query", service="s3", region="", token=token, now=epoch, method=method)
    keep = signer.sign_string

    def sign_string(text):
        vector.string_to_sign = text
        vector.signature = keep(text)
        return vector.signature

    signer.sign_string = sign_string
    real_time = time.time
    auth.time.time = lambda: epoch
    try:
        signer.add_auth(request)
    finally:
        auth.time.time = real_time
    split = urlsplit(request.url)
    vector.path, vector.query, vector.base_query = split.path, split.query, base_query
    vector.expires = expires
    vector.base_headers = [("Host", "127.0.0.1:9324")] + base
    # A client of such a URL may send content-type and content-md5 or leave them out; x-amz-* is in the query.
    vector.headers = [("Host", "127.0.0.1:9324")]
    if rng.random() < 0.5:
        vector.headers += [(n, v) for n, v in base if not n.lower().startswith("x-amz-")]
    return vector


def main() -> None:
    auth.datetime.datetime = FrozenTime
    rng = random.Random(20260102)
    vectors = []
    for kind, service, count in [("kHeader", "s3", 70), ("kHeader", "sqs", 40), ("kQuery", "s3", 50),
                                 ("kQuery", "sqs", 20)]:
        vectors += [make(rng, kind, service) for _ in range(count)]
    vectors += [make_v2(rng) for _ in range(40)]
    with open("sigv4_vectors.inc", "w", encoding="ascii") as out:
        out.write("// Made by make_sigv4_vectors.py with botocore's signers; not to be edited.\n")
        out.write("// clang-format off\n")
        out.write("\n".join(emit(v) for v in vectors) + "\n// clang-format on\n")


if __name__ == "__main__":
    main()
