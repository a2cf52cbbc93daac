"""Settings of the server: limits, API key, allowed origins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config.checks import number, whole_number
from ..errors import ConfigError
from ..runtime.providers.device import Device

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the server. Raises ConfigError for invalid values."""

    provider: str | Device = "auto"
    max_rows: int = 16
    """Most rows of one network call; a guided image takes two."""
    max_memory_bytes: int | None = None
    """Calls get more rows while the process is smaller than this; None: four fifths of the memory free at start."""
    max_queue: int = 64
    """Most requests that wait for one model; one more gets status 429."""
    max_per_client: int = 32
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
    max_pixels: int = 16_000_000
    """Most pixels of one uploaded picture, checked before it is decoded."""
    timeout_s: float = 120.0
    """Most seconds of a request from its arrival, waiting included."""
    job_timeout_s: float = 3600.0
    """Most seconds of a job of /v1/jobs, waiting included."""
    keep_s: float = 3600.0
    """Seconds that an ended job, or an image with a URL, is kept."""
    keep_jobs: int = 100
    """Most ended jobs that are kept; the oldest is deleted first."""
    keep_images: int = 200
    """Most images with a URL (``response_format: url``) that are kept; the oldest is deleted first."""
    keep_bytes: int = 256 * 2**20
    """Most bytes of the ended jobs that are kept, and as many of the images; the newest one is always kept."""
    drain_s: float = 30.0
    """Seconds that running requests get to finish after SIGTERM."""
    api_key: str | None = None
    """Clients send it as ``Authorization: Bearer KEY``; None: no key is needed."""
    cors_origins: Sequence[str] = ()
    """Origins of web pages that may call the API; ``*`` for all."""
    hosts: Sequence[str] | None = None
    """Allowed names in the Host header; None for any."""
    log_prompts: bool = False
    """Write prompts to the access log."""

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_queue", "max_per_client", "max_models", "max_steps", "max_body_bytes",
                     "max_pixels", "keep_jobs", "keep_images", "keep_bytes"):  # fmt: skip
            whole_number(name, getattr(self, name), low=1)
        whole_number("max_images", self.max_images, low=1, high=10)
        if self.max_memory_bytes is not None:
            whole_number("max_memory_bytes", self.max_memory_bytes, low=1)
        for name in ("timeout_s", "job_timeout_s", "keep_s", "drain_s"):
            number(name, getattr(self, name), low=0)
        if self.api_key is not None and not self.api_key.strip():
            raise ConfigError("the API key is empty")


DEFAULTS = Settings()
