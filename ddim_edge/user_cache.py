"""Where the user's cache lies: compiled graphs, and the hashes of files that were read."""

import os
from pathlib import Path

from .errors import ConfigError

CACHE_VARIABLE = "DDIM_EDGE_CACHE"


def cache_folder(name: str) -> Path:
    """The folder ``name`` in the user's cache. Raises ConfigError where the user has no home folder."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).absolute() / name
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return base.expanduser().absolute() / "ddim-edge" / name
    except RuntimeError:
        raise ConfigError(f"you have no home folder for a cache: name a folder in {CACHE_VARIABLE}") from None
