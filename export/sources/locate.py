"""Finds SOURCE: a folder, a single-file checkpoint, or a repository on the Hugging Face hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from ddim_edge.errors import ConfigError

from .checkpoint import check_file, default_config_repository
from .hub import fetch_configs

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_EXPECTED = (
    "give a folder that diffusers' save_pretrained wrote, a single-file checkpoint in safetensors, or the OWNER/NAME "
    "of a repository on the Hugging Face hub"
)


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where the configs and weights of a source are."""

    name: str
    """The source's name in export.json."""
    folder: Path
    """The configs in diffusers' layout; also the weights, unless there is a checkpoint or a repository."""
    checkpoint: Path | None = None
    """One file with the weights of all networks."""
    repository: str | None = None
    """The repository whose cache the folder is; its weights are not downloaded yet."""


def locate(source: str, config: str | None = None) -> Location:
    """Find ``source``. ``config`` says where the configs of a checkpoint are; the default is on the hub.

    ConfigError where ``source`` is none of the three, or the hub cannot be reached and the cache has no copy.
    """
    path = Path(source)
    if path.is_file():
        return _checkpoint(path, config)
    if config is not None:
        raise ConfigError(f"--config is for a single-file checkpoint, which {source} is not: leave it out")
    return _folder(source)


def _folder(source: str) -> Location:
    path = Path(source)
    if path.is_dir():
        return Location(name=path.resolve().name, folder=path)
    if _HUB_ID.fullmatch(source):
        try:
            return Location(name=source, folder=fetch_configs(source), repository=source)
        except ConfigError as error:
            raise ConfigError(f"there is no folder {source}, and as a repository: {error}") from None
    raise ConfigError(f"there is no folder {source}: {_EXPECTED}")


def _checkpoint(path: Path, config: str | None) -> Location:
    check_file(path)
    if config is None:
        repository = default_config_repository(path)
        try:
            folder = fetch_configs(repository)
        except ConfigError as error:
            raise ConfigError(
                f"a checkpoint has no configs, and {path} seems to need those of {repository}: {error}; give "
                "--config FOLDER, a pipeline of the same kind that diffusers saved (its weights are not needed)"
            ) from None
    else:
        folder = _folder(config).folder
    return Location(name=path.name, folder=folder, checkpoint=path)
