"""API keys with names and limits, from a TOML file."""

import hashlib
import hmac
import logging
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.schema import check_json, list_of, text, whole
from ..errors import ConfigError, choose_from, shown

LOG = logging.getLogger("ddim_edge.serving")
_SCHEMA = {
    "name": text(100),
    "key": text(1000),
    "sha256": text(64),
    "max_requests": whole(1, 2**31),
    "max_queued_work": whole(1, 2**63 - 1),
    "models": list_of(text(4096), 1000),
}
_NAME = re.compile(r"[A-Za-z0-9._@-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ApiKey:
    """One API key: its name, which may be logged, the SHA-256 of the key itself, and its limits; None: no limit."""

    name: str
    sha256: str
    max_requests: int | None = None
    """Most requests and jobs that have not ended; None: the server's ``max_per_client``."""
    max_queued_work: int | None = None
    """Most rows of network calls that its unfinished requests still need, all together."""
    models: tuple[str, ...] | None = None
    """The models that it may use."""

    def allows(self, model: str) -> bool:
        """Whether it may use a model."""
        return self.models is None or model in self.models


class ApiKeys:
    """The keys of a file. Raises ConfigError if it cannot be read or is wrong."""

    def __init__(self, file: Path) -> None:
        self._version = _version_of(file)
        self.file, self._keys = file, read_api_keys(file)

    def find(self, given: bytes) -> ApiKey | None:
        """The entry of a key that a client sent, None for a wrong one."""
        sha256 = hashlib.sha256(given).hexdigest()
        # A comparison with each key, always: the time must not tell which one is nearly right.
        found = [each for each in self._keys if hmac.compare_digest(sha256, each.sha256)]
        return found[0] if found else None

    def reload(self) -> None:
        """Read the file again; one that is wrong is logged, and the keys stay as they are."""
        try:
            self._keys = read_api_keys(self.file)
        except ConfigError as error:
            LOG.error("the API keys stay as they are: %s", error)
        else:
            LOG.info("%d API keys have been read again", len(self._keys))

    def reload_if_changed(self) -> None:
        """Read the file again if it is another one than before, or has changed."""
        version = _version_of(self.file)
        if version != self._version:
            self._version = version
            self.reload()


def _version_of(file: Path) -> tuple[int, ...]:
    """What differs where a file has changed; empty where it cannot be read."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_api_keys(file: Path) -> tuple[ApiKey, ...]:
    """The keys of a TOML file, ``[[keys]]`` each; raises ConfigError, which never quotes a key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"--api-keys {file} cannot be read") from None
    except tomllib.TOMLDecodeError:  # its message may quote the line
        raise ConfigError(f"--api-keys {file} is not TOML: expected a table [[keys]] for each key") from None
    tables = values.get("keys")
    if set(values) != {"keys"} or not isinstance(tables, list) or not tables:
        raise ConfigError(f"--api-keys {file}: expected a table [[keys]] for each key, at least one, and nothing else")
    keys = tuple(_api_key(table, f"--api-keys {file}, key {number}") for number, table in enumerate(tables, 1))
    for what in ("name", "sha256"):
        if len({getattr(key, what) for key in keys}) < len(keys):
            raise ConfigError(f"--api-keys {file}: two keys {'have one name' if what == 'name' else 'are the same'}")
    return keys


def _api_key(table: Any, where: str) -> ApiKey:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table")
    for unknown in sorted(table.keys() - _SCHEMA.keys()):
        raise ConfigError(f"{where}: {choose_from('entry', unknown, _SCHEMA)}")
    check_json(table, _SCHEMA, where)
    name, models = table.get("name", ""), table.get("models")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: name must be letters, digits and . _ @ -, not {shown(name)}")
    limits = {limit: table.get(limit) for limit in ("max_requests", "max_queued_work")}
    return ApiKey(name, _sha256(table, where), **limits, models=None if models is None else tuple(models))


def _sha256(table: dict[str, Any], where: str) -> str:
    if ("key" in table) == ("sha256" in table):
        raise ConfigError(f"{where}: give either key or sha256, the hash of the key")
    if "key" in table:
        key: str = table["key"]
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError(f"{where}: a key must be of ASCII letters, digits and signs, without spaces")
        return hashlib.sha256(key.encode()).hexdigest()
    sha256: str = table["sha256"].lower()
    if not _SHA256.fullmatch(sha256):
        raise ConfigError(f"{where}: sha256 must have 64 hexadecimal digits")
    return sha256
