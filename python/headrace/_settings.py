"""Where the services are, and with which keys: from configure(), the environment, the state folder that
`headrace up` keeps, or the configuration file, in this order; keys at last from AWS_ACCESS_KEY_ID and its
companions. Services of Amazon: as AWS's own tools find them. Where one of the two is ours and the other
Amazon's, services.region is of Amazon's, and everything else that is said is of ours. The program's own
commands do the same (src/headrace/client_settings.h)."""

from __future__ import annotations

import json
import os
import pathlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace import _native
from headrace._errors import Unavailable

FILE_NAME = "headrace.toml"
DEFAULT_LISTEN = "127.0.0.1:9324"
DEFAULT_DATA = "/var/lib/headrace"
DEFAULT_REGION = "us-east-1"
MEND = "run `headrace up`, or set HEADRACE_ENDPOINT and HEADRACE_KEYS, or call headrace.configure()"


Keys = tuple[str, str, str] | _native.Aws  # access key, secret, session token; or whoever finds them


@dataclass(frozen=True)
class Place:
    """Where one of the two services is, and whose keys sign."""

    endpoint: str
    region: str
    keys: Keys


@dataclass(frozen=True)
class Settings:
    sqs: Place
    s3: Place
    app: str

    @property
    def bucket(self) -> str:
        """Where results, marks and large bodies are."""
        return f"headrace-{self.app}"


def configuration_file() -> pathlib.Path | None:
    """HEADRACE_CONFIG, else headrace.toml of the current folder or the nearest parent that has one."""
    named = os.environ.get("HEADRACE_CONFIG")
    if named:
        return pathlib.Path(named)
    here = pathlib.Path.cwd()
    candidates = (folder / FILE_NAME for folder in (here, *here.parents))
    return next((path for path in candidates if path.is_file()), None)


def read_toml(path: pathlib.Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}; {MEND}") from None
    except ValueError as error:
        raise Unavailable(f"{path} is not well-formed: {error}") from None


def read_client_file(config: pathlib.Path | None) -> Mapping[str, Any]:
    """What a running `headrace up` wrote for clients; empty where none does."""
    state = os.environ.get("HEADRACE_STATE")
    folder = pathlib.Path(state) if state else config.parent / ".headrace" if config else None
    if folder is None:
        return {}
    try:
        found = json.loads((folder / "client.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise Unavailable(f"{folder}/client.json is damaged: {error}; restart `headrace up`") from None
    return found if isinstance(found, dict) else {}


def endpoint_of(client: Mapping[str, Any], table: Mapping[str, Any], config: pathlib.Path | None) -> str:
    named = os.environ.get("HEADRACE_ENDPOINT")
    if named:
        return named
    path = str(client.get("socket", ""))
    if path and os.access(path, os.W_OK):
        return f"unix:{path}"
    if client.get("endpoint"):
        return str(client["endpoint"])
    if config is None:
        raise Unavailable(
            f"nobody said where the services are, and no folder from here up has a {FILE_NAME}: {MEND}"
        )
    named = table.get("services", {}).get("endpoint")
    return str(named or "http://" + str(table.get("store", {}).get("listen", DEFAULT_LISTEN)))


def keys_of(path: pathlib.Path) -> tuple[str, str]:
    try:
        first = read_toml(path)["key"][0]
        return str(first["id"]), str(first["secret"])
    except (KeyError, IndexError, TypeError):
        raise Unavailable(f"{path} holds no [[key]] with id and secret; {MEND}") from None


def named_keys(overrides: Mapping[str, str]) -> Keys | None:
    """Those that somebody named, whatever the services are."""
    if overrides.get("access_key"):
        return overrides["access_key"], overrides["secret_key"], overrides.get("session_token", "")
    path = overrides.get("keys") or os.environ.get("HEADRACE_KEYS")
    return (*keys_of(pathlib.Path(path)), "") if path else None


def local_keys(client: Mapping[str, Any], store: Mapping[str, Any], config: pathlib.Path | None) -> Keys:
    if client.get("keys"):
        return *keys_of(pathlib.Path(str(client["keys"]))), ""
    if config:
        own = config.parent / str(store.get("path", DEFAULT_DATA)) / "keys.toml"
        if os.access(own, os.R_OK):
            return *keys_of(own), ""
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access and secret:
        return access, secret, os.environ.get("AWS_SESSION_TOKEN", "")
    raise Unavailable(f"there is no key to sign requests with: {MEND}")


def local_place(
    overrides: Mapping[str, str], table: Mapping[str, Any], config: pathlib.Path | None, alone: bool
) -> Place:
    """`alone`: the other service is Amazon's."""
    client = read_client_file(config)
    store, services = table.get("store", {}), table.get("services", {})
    keys = named_keys(overrides) or local_keys(client, store, config)
    region = (
        overrides.get("region")
        or os.environ.get("HEADRACE_REGION")
        or client.get("region")
        or (None if alone else services.get("region"))
        or store.get("region")
    )
    endpoint = overrides.get("endpoint") or endpoint_of(client, table, config)
    return Place(endpoint, str(region or DEFAULT_REGION), keys)


def aws_places(
    overrides: Mapping[str, str], services: Mapping[str, Any], alone: bool
) -> tuple[Place, Place]:
    """SQS and S3. `alone`: only one of them, and the other is ours."""
    region, endpoint, keys = services.get("region"), None, None
    if not alone:
        region = overrides.get("region") or os.environ.get("HEADRACE_REGION") or region
        endpoint = (
            overrides.get("endpoint") or os.environ.get("HEADRACE_ENDPOINT") or services.get("endpoint")
        )
        keys = named_keys(overrides)
    try:
        aws = _native.Aws(
            region=str(region or ""),
            endpoint=str(endpoint or ""),
            fips=services.get("fips") is True,
            dual_stack=services.get("dual_stack") is True,
        )
    except ValueError as error:
        raise Unavailable(str(error)) from None
    return Place(aws.sqs, aws.region, keys or aws), Place(aws.s3, aws.region, keys or aws)


def resolve(overrides: Mapping[str, str]) -> Settings:
    """Unavailable says what is missing and how to give it."""
    config = configuration_file()
    table = read_toml(config) if config else {}
    services = table.get("services", {})
    said = [services.get(name, "local") for name in ("sqs", "s3")]
    for choice in said:
        if choice not in ("local", "aws"):
            raise Unavailable(f'{config}: services: "{choice}" is neither "local" nor "aws"')
    alone = said[0] != said[1]
    aws: tuple[Place, ...] = aws_places(overrides, services, alone) if "aws" in said else ()
    sqs, s3 = (
        local_place(overrides, table, config, alone) if choice == "local" else aws[index]
        for index, choice in enumerate(said)
    )
    app = overrides.get("app") or read_client_file(config).get("app") or table.get("app", {}).get("name")
    return Settings(sqs, s3, str(app or "app"))
