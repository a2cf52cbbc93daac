"""Where compiled graphs are kept: in the bundle's own folder, and in the user's cache."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigError

CACHE_VARIABLE = "DDIM_EDGE_CACHE"
FOLDER_NAME = re.compile(r"(?P<provider>[a-z]+(?:-[a-z]+)*)-(?P<component>\w+)-[0-9a-f]{16}", re.ASCII)
"""The name of the folder of one compiled graph."""
_PLACE, _CHECKED = "compiled", "checked"


def user_cache() -> Path:
    """The user's cache of compiled graphs, for all bundles. Raises ConfigError where the user has no home folder."""
    return _own_folder() / _PLACE


def checked_folder() -> Path:
    """Where is kept which compiled graphs were checked. Raises ConfigError as ``user_cache``."""
    return _own_folder() / _CHECKED


def bundle_cache(bundle: Path) -> Path:
    """The cache in a bundle's own folder."""
    return bundle.absolute() / _PLACE


def caches_of(bundle: Path) -> Iterator[Path]:
    """The caches that may have something of a bundle. A user without a home folder has no cache."""
    yield bundle_cache(bundle)
    try:
        yield user_cache()
    except ConfigError:
        return


def cached_folders(cache: Path) -> list[Path]:
    """The folders of a cache that this program made, finished or not, recognized by their names; no links.

    A cache that is not there, or may not be read, is empty.
    """
    try:
        named = [path for path in sorted(cache.iterdir()) if FOLDER_NAME.fullmatch(path.name)]
        return [path for path in named if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []


def _own_folder() -> Path:
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return base.expanduser().absolute() / "ddim-edge"
    except RuntimeError:
        raise ConfigError(f"you have no home folder for a cache: name a folder in {CACHE_VARIABLE}") from None
