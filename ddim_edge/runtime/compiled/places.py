"""Where compiled graphs are kept: in the bundle's own folder, and in the user's cache."""

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigError
from ...user_cache import cache_folder

FOLDER_NAME = re.compile(r"(?P<provider>[a-z]+(?:-[a-z]+)*)-(?P<component>\w+)-[0-9a-f]{16}", re.ASCII)
"""The name of the folder of one compiled graph."""
_PLACE = "compiled"


def user_cache() -> Path:
    """The user's cache of compiled graphs, for all bundles. Raises ConfigError where the user has no home folder."""
    return cache_folder(_PLACE)


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
