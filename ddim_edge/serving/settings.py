"""Settings of the server: limits, API key, allowed origins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..config.byte_count import byte_count
from ..config.checks import number, whole_number
from ..config.schema import text
from ..errors import ConfigError, choose_from, shown
from ..runtime.providers.device import Device
from .api_keys import ApiKeys

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NOT_IN_FILES = ("warm_up",)
"""Settings that are objects of Python."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the server. Raises ConfigError for invalid values."""

    provider: str | Device = "auto"
    max_rows: int = 16
    """Most rows of one network call; a guided image takes two."""
    max_memory_bytes: int | None = None
    """Calls get more rows while the process is smaller than this; None: four fifths of the memory free at start."""
    max_memory: int | str | None = None
    """Most private memory of the process: bytes, or text such as 2GB; provider cpu alone. None for no limit."""
    max_queue: int = 64
    """Most requests that wait for one model; one more gets status 429."""
    max_per_client: int = 48
    """Most requests of one client, by its key or address, that have not ended; one more gets status 429."""
    max_models: int = 2
    """Most models in memory at once; the least recently used one is unloaded for another."""
    preload: bool = True
    """Load the first ``max_models`` models at start, not at their first use."""
    warm_up: Callable[[str], None] | None = None
    """If given, each model is run at all batch sizes when loaded; called with a progress message for each size."""
    max_images: int = 10
    max_steps: int = 1000
    max_body_bytes: int = 10 * 2**20
    """Most bytes of a request body: a form with pictures; other bodies must also be within ``max_json_bytes``."""
    max_json_bytes: int = 128 * 2**10
    """Most bytes of any other body; at most 1 MiB, because parsing it stops all other requests."""
    max_uploads_bytes: int = 256 * 2**20
    """Most bytes of all forms that are in memory at once; a further one gets status 503."""
    max_connections: int = 512
    """Most open connections; for a further one, the oldest that has no whole request is closed."""
    header_timeout_s: float = 10.0
    """Most seconds from a connection, or from the first byte of a further request, to the end of the header."""
    body_timeout_s: float = 60.0
    """Most seconds from the end of the header to the end of the body."""
    max_pixels: int = 16_000_000
    """Most pixels of one uploaded picture, checked before it is decoded."""
    timeout_s: float = 120.0
    """Most seconds of a request from its arrival, waiting included."""
    job_timeout_s: float = 3600.0
    """Most seconds of a job of /v1/jobs, waiting included."""
    store: str = field(default="memory", repr=False)
    """Where images with a URL and jobs are kept: ``memory``, ``sqlite:FILE`` or ``redis://HOST``; all processes with
    one store answer for each other."""
    store_images: str | None = None
    """With ``redis://``: a folder or bucket, as ``s3://bucket/folder/``, for images and results of 64 KiB and more."""
    make_jobs: bool = True
    """Make jobs of a store that hands them out (``redis://``); if not, ``ddim-edge worker`` does."""
    keep_s: float = 3600.0
    """Seconds that an ended job, or an image with a URL, is kept."""
    keep_jobs: int = 100
    """Most ended jobs that are kept; the oldest is deleted first."""
    keep_images: int = 200
    """Most images with a URL (``response_format: url``) that are kept; the oldest is deleted first."""
    keep_bytes: int = 256 * 2**20
    """Most bytes of the ended jobs that are kept, and as many of the images; the newest one is always kept."""
    cache_results: int | str | None = None
    """Size of the cache of finished images in memory: bytes, or text such as 256MB; None for no cache."""
    drain_s: float = 30.0
    """Seconds that running requests get to finish after SIGTERM."""
    shutdown_delay_s: float = 0.0
    """Seconds from SIGTERM to the start of the drain: requests are accepted, but ``/health/ready`` is red."""
    api_key: str | None = field(default=None, repr=False)
    """Clients send it as ``Authorization: Bearer KEY``; several lines: several keys; None: no key is needed."""
    api_keys: ApiKeys | None = field(default=None, repr=False)
    """Keys with names and limits, in place of ``api_key``."""
    cors_origins: Sequence[str] = ()
    """Origins of web pages that may call the API; ``*`` for all."""
    hosts: Sequence[str] | None = None
    """Allowed names in the Host header, beside any IP address; None, or ``*`` among them, for any."""
    root_path: str = ""
    """The path prefix that a proxy removes from requests, such as ``/draw``."""
    forwarded_allow_ips: str | None = None
    """Addresses of proxies, between commas, whose ``X-Forwarded-Proto`` and ``-For`` are believed; ``*`` for all.

    None: the environment variable FORWARDED_ALLOW_IPS, else 127.0.0.1 and ::1.
    """
    log_prompts: bool = False
    """Write prompts to the access log."""

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_queue", "max_per_client", "max_models", "max_steps", "max_body_bytes",
                     "max_uploads_bytes", "max_connections", "max_pixels", "keep_jobs", "keep_images",
                     "keep_bytes"):  # fmt: skip
            whole_number(name, getattr(self, name), low=1)
        whole_number("max_images", self.max_images, low=1, high=10)
        whole_number("max_json_bytes", self.max_json_bytes, low=1, high=2**20)
        if self.max_memory is not None:
            byte_count("max_memory", self.max_memory)
        if self.cache_results is not None:
            byte_count("cache_results", self.cache_results)
        if self.max_memory_bytes is not None:
            whole_number("max_memory_bytes", self.max_memory_bytes, low=1)
        for name in ("timeout_s", "job_timeout_s", "keep_s", "header_timeout_s", "body_timeout_s", "drain_s",
                     "shutdown_delay_s"):  # fmt: skip
            number(name, getattr(self, name), low=0)
        if self.api_key is not None:
            _check_keys(self.keys)
        if self.api_key is not None and self.api_keys is not None:
            raise ConfigError("give either api_key or api_keys")
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ConfigError(f"root_path must start with / and not end with it, not {shown(self.root_path)}")

    @property
    def cache_bytes(self) -> int | None:
        """The size of the cache of finished images; None for no cache."""
        return None if self.cache_results is None else byte_count("cache_results", self.cache_results)

    @property
    def needs_key(self) -> bool:
        """Whether clients must send a key."""
        return self.api_key is not None or self.api_keys is not None

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys, one a line of ``api_key``."""
        return tuple(line.strip() for line in (self.api_key or "").splitlines() if line.strip())


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings of a configuration file; ``api_keys`` is there the path of the file with the keys.

    Raises ConfigError for an unknown one or an invalid value.
    """
    known = [each.name for each in fields(Settings) if each.name not in _NOT_IN_FILES]
    for name in given:
        if name not in known:
            raise ConfigError(choose_from("setting", name, known))
    if given.get("api_keys") is None:
        return Settings(**given)
    text(4096)("api_keys", given["api_keys"])
    return Settings(**{**given, "api_keys": ApiKeys(Path(given["api_keys"]))})


def hosts_for(address: str, api_key: str | ApiKeys | None, allowed: Sequence[str]) -> Sequence[str] | None:
    """The Host names of a server that listens on ``address``: ``allowed``, the address, and those of this machine.

    None, for any, only with a key on a public address. Without a key, a web page whose name resolves to this server
    (DNS rebinding) could use it.
    """
    is_public_with_key = address not in LOOPBACK and api_key is not None
    return None if is_public_with_key and not allowed else (*LOOPBACK, address, *allowed)


def _check_keys(keys: tuple[str, ...]) -> None:
    if not keys:
        raise ConfigError("the API key is empty")
    if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise ConfigError("an API key must be of ASCII letters, digits and signs, without spaces: one key a line")


DEFAULTS = Settings()
