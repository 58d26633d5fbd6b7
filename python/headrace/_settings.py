"""Where the services are, and with which keys: from configure(), the environment, the state folder that
`headrace up` keeps, or the configuration file, in this order; keys at last from AWS_ACCESS_KEY_ID and its
companions. The program's own commands do the same (src/headrace/client_settings.h)."""

from __future__ import annotations

import json
import os
import pathlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace._errors import Unavailable

FILE_NAME = "headrace.toml"
DEFAULT_LISTEN = "127.0.0.1:9324"
DEFAULT_DATA = "/var/lib/headrace"
DEFAULT_REGION = "us-east-1"
MEND = "run `headrace up`, or set HEADRACE_ENDPOINT and HEADRACE_KEYS, or call headrace.configure()"


@dataclass(frozen=True)
class Settings:
    endpoint: str
    region: str
    access_key: str
    secret_key: str
    session_token: str
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


def endpoint_of(
    client: Mapping[str, Any], table: Mapping[str, Any], config: pathlib.Path | None
) -> str:
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


def credentials(
    client: Mapping[str, Any], store: Mapping[str, Any], config: pathlib.Path | None, keys: str
) -> tuple[str, str, str]:
    named = keys or os.environ.get("HEADRACE_KEYS") or str(client.get("keys", ""))
    if named:
        return *keys_of(pathlib.Path(named)), ""
    if config:
        own = config.parent / str(store.get("path", DEFAULT_DATA)) / "keys.toml"
        if os.access(own, os.R_OK):
            return *keys_of(own), ""
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access and secret:
        return access, secret, os.environ.get("AWS_SESSION_TOKEN", "")
    raise Unavailable(f"there is no key to sign requests with: {MEND}")


def resolve(overrides: Mapping[str, str]) -> Settings:
    """Unavailable says what is missing and how to give it."""
    config = configuration_file()
    table = read_toml(config) if config else {}
    services = table.get("services", {})
    if "aws" in (services.get("sqs"), services.get("s3")):
        raise Unavailable(f'{config}: services of "aws" are not in this version; set sqs and s3 to "local"')
    client = read_client_file(config)
    store = table.get("store", {})
    if overrides.get("access_key"):
        keys = overrides["access_key"], overrides["secret_key"], overrides.get("session_token", "")
    else:
        keys = credentials(client, store, config, overrides.get("keys", ""))
    region = (
        os.environ.get("HEADRACE_REGION")
        or client.get("region")
        or services.get("region")
        or store.get("region")
    )
    return Settings(
        endpoint=overrides.get("endpoint") or endpoint_of(client, table, config),
        region=overrides.get("region") or str(region or DEFAULT_REGION),
        access_key=keys[0],
        secret_key=keys[1],
        session_token=keys[2],
        app=overrides.get("app") or str(client.get("app") or table.get("app", {}).get("name") or "app"),
    )
