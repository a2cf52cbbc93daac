"""What an operator decides: limits, keys, origins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config.checks import number, whole_number
from ..errors import ConfigError
from ..runtime.providers.device import Device

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The server's limits. Raises ConfigError for values that mean nothing."""

    provider: str | Device = "auto"
    max_rows: int = 16
    """Rows of one network call; a guided image takes two."""
    max_memory_bytes: int | None = None
    """The process's size up to which calls get more rows; None for four fifths of what is free at start."""
    max_queue: int = 64
    """Requests that wait to be begun; one more is answered 429."""
    max_models: int = 2
    """Models that are open at once; the least recently used one is closed for another."""
    preload: bool = True
    """Open the first ``max_models`` models at start, not at their first use."""
    warm_up: Callable[[str], None] | None = None
    """Where it is given, a model is called at all batch sizes when it is opened, and this is told of each in words."""
    max_images: int = 10
    max_steps: int = 1000
    max_body_bytes: int = 10 * 2**20
    max_pixels: int = 16_000_000
    """Of one picture that is sent in, counted before it is decoded."""
    timeout_s: float = 120.0
    """The longest that a request may take from its arrival, waiting included."""
    job_timeout_s: float = 3600.0
    """The same for a job of /v1/jobs."""
    keep_s: float = 3600.0
    """How long an ended job is kept, in seconds."""
    keep_jobs: int = 100
    """How many ended jobs are kept; the oldest goes first."""
    keep_images: int = 200
    """How many images that were asked for as a url are kept, ``keep_s`` long; the oldest goes first."""
    drain_s: float = 30.0
    """How long what runs may take to finish after SIGTERM."""
    api_key: str | None = None
    cors_origins: Sequence[str] = ()
    hosts: Sequence[str] | None = None
    """The names that a Host header may have; None for any."""
    log_prompts: bool = False

    def __post_init__(self) -> None:
        for name in ("max_rows", "max_queue", "max_models", "max_steps", "max_body_bytes", "max_pixels", "keep_jobs",
                     "keep_images"):  # fmt: skip
            whole_number(name, getattr(self, name), low=1)
        whole_number("max_images", self.max_images, low=1, high=10)
        if self.max_memory_bytes is not None:
            whole_number("max_memory_bytes", self.max_memory_bytes, low=1)
        for name in ("timeout_s", "job_timeout_s", "keep_s", "drain_s"):
            number(name, getattr(self, name), low=0)
        if self.api_key is not None and not self.api_key.strip():
            raise ConfigError("the API key is empty")


DEFAULTS = Settings()
