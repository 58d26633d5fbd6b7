"""SQS through both wire protocols, under one interface: boto3 for Query, signed raw requests for JSON 1.0."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
import botocore.config
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from store_process import REGION, Store

TIMEOUT_S = 30


class SqsError(Exception):
    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.code = code
        self.status = status
        self.message = message


class Api(Protocol):
    def __call__(self, action: str, /, **members: Any) -> dict[str, Any]:
        ...


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body or b"{}"))


def exchange(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """One request, as it is; an error status is an answer."""
    request = urllib.request.Request(url, data=body or None, headers=dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return Answer(response.status, dict(response.headers.items()), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers.items()), error.read())


def signed(
    store: Store,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    secret: str = "",
    key_id: str = "",
    region: str = REGION,
    service: str = "sqs",
) -> AWSRequest:
    """A request signed with the store's key, or with what is given instead."""
    request = AWSRequest(method=method, url=store.endpoint + path, data=body, headers=dict(headers or {}))
    SigV4Auth(Credentials(key_id or store.key_id, secret or store.secret), service, region).add_auth(request)
    return request


def send(request: AWSRequest) -> Answer:
    body = request.data if isinstance(request.data, bytes) else str(request.data).encode()
    return exchange(request.method, request.url, body, dict(request.headers))


def json_request(store: Store, action: str, body: bytes, **options: Any) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"}
    return send(signed(store, "POST", "/", body, headers, **options))


class QueryApi:
    """Debian's boto3, which knows only the Query protocol."""

    def __init__(self, store: Store) -> None:
        config = botocore.config.Config(retries={"max_attempts": 0}, parameter_validation=False)
        self.client = boto3.client(
            "sqs",
            endpoint_url=store.endpoint,
            region_name=REGION,
            aws_access_key_id=store.key_id,
            aws_secret_access_key=store.secret,
            config=config,
        )

    def __call__(self, action: str, /, **members: Any) -> dict[str, Any]:
        operation = botocore.xform_name(action)
        try:
            answer = getattr(self.client, operation)(**members)
        except botocore.exceptions.ClientError as error:
            said = error.response
            raise SqsError(
                said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Message"]
            ) from error
        answer.pop("ResponseMetadata")
        return dict(answer)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _encoded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encoded(inner) for inner in value]
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: base64.b64decode(inner, validate=True) if name == "BinaryValue" else _decoded(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_decoded(inner) for inner in value]
    return value


class JsonApi:
    """JSON 1.0, as current SDKs speak it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __call__(self, action: str, /, **members: Any) -> dict[str, Any]:
        answer = json_request(self.store, action, json.dumps(_encoded(members)).encode())
        if answer.status == 200:
            return dict(_decoded(answer.json()))
        code = answer.headers["x-amzn-query-error"].split(";")[0]
        raise SqsError(code, answer.status, answer.json()["message"])
