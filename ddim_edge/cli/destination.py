"""Options about where and how ``ddim-edge run`` stores a folder's images: URLs and archives."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..config import whole_number
from ..errors import ConfigError
from ..generation.requests.request import Request
from ..images.archive import Archive
from ..images.formats import FORMATS
from ..images.remote import check_url, is_url
from ..images.save import is_folder
from ..images.storage import without_file_scheme
from .folder_output import FolderOptions, FolderOutput
from .output import EstimateOptions, FileOutput, new_folder
from .standard_output import STANDARD_OUTPUT, StandardOutput


def archive_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --archive and --images-per-tar."""
    archive = click.option(
        "--archive",
        type=click.Choice(["webdataset"]),
        help="Write tar files instead of one file per image: each image with its recipe as JSON, as the package "
        "webdataset reads them.",
    )
    images_per_tar = click.option(
        "--images-per-tar",
        type=int,
        metavar="N",
        default=100,
        help="Images in a tar file of --archive, rounded down to whole batches. A tar is kept in memory until it is "
        "whole.",
    )
    return archive(images_per_tar(command))


def local_or_url(output: str | None) -> str | None:
    """--output as a path, as ``-``, or as a URL of a folder in a store. ConfigError for a URL that cannot be used."""
    if output is None:
        return None
    if output == STANDARD_OUTPUT:
        return output
    target = without_file_scheme(output)
    if is_url(target):
        check_url(target)
        if not target.endswith("/"):
            raise ConfigError("--output as a URL names a folder: end it in /, as in s3://bucket/folder/")
    return target


def destination_of(
    output: str | None,
    target: str,
    recipe: Callable[[], Mapping[str, Any]],
    index: int | None,
    file_format: str,
    estimates: EstimateOptions,
    options: FolderOptions,
    other_names: Iterator[Path] | None,
    enlarge: int | None,
) -> FileOutput | FolderOutput:
    """Where the images go. With ``other_names``, the user gave no --output: a new file or folder."""
    if output == STANDARD_OUTPUT:
        return StandardOutput(Path(target), recipe, index, estimates, None, options.png_level, enlarge)
    if not is_folder(target):
        check_format(Path(target), file_format)
        level, force = options.png_level, options.force
        return FileOutput(Path(target), recipe, index, estimates, other_names, level, enlarge, force)
    if enlarge is not None:
        raise ConfigError("--enlarge is for one picture file: give a file, not a folder, as --output")
    if estimates.animate:
        raise ConfigError("--gif animates one image file: give a file, not a folder, as --output")
    folder = target if other_names is None else str(new_folder(itertools.chain([Path(target)], other_names)))
    return FolderOutput(folder, recipe, f".{file_format}", estimates, options)


def check_format(target: Path, file_format: str) -> None:
    """Raise ConfigError for a --format on the command line that contradicts the file's name."""
    own = {".jpg": "jpeg"}.get(target.suffix.lower(), target.suffix.lower().removeprefix("."))
    given = click.get_current_context().get_parameter_source("file_format") is ParameterSource.COMMANDLINE
    if given and own in FORMATS and own != file_format:
        raise ConfigError(
            f"--format {file_format} contradicts the name {target.name}: the name of a file chooses its format. Leave "
            f"--format out, or name the file {target.stem}.{file_format}"
        )


def archive_of(
    kind: str | None, images_per_tar: int, request: Request, target: str, estimates: EstimateOptions
) -> Archive | None:
    """How a run's images are divided into tar files; None without --archive. ConfigError where they cannot be."""
    tars = tars_of(kind, images_per_tar, request.num_images, request.batch_size)
    if tars is None:
        return None
    if not is_folder(target):
        raise ConfigError("--archive writes tar files to a folder: give a folder, not a file, as --output")
    if estimates.every is not None:
        raise ConfigError("--save-every writes single files: leave it or --archive out")
    return tars


def tars_of(kind: str | None, images_per_tar: int, num_images: int, batch_size: int) -> Archive | None:
    """How a number of images are divided into tar files; None without --archive. ConfigError for --images-per-tar."""
    whole_number("--images-per-tar", images_per_tar, low=1)
    given = click.get_current_context().get_parameter_source("images_per_tar")
    if kind is None and given is ParameterSource.COMMANDLINE:
        raise ConfigError("--images-per-tar is for --archive webdataset: add that, or leave it out")
    return None if kind is None else Archive(num_images, batch_size, images_per_tar)
