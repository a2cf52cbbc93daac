"""Shards: the part of a run's batches that one of several processes makes."""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import click

from ..errors import ConfigError, shown
from ..images.archive import Archive
from ..images.save import is_folder

_DIGITS = 9


@dataclass(frozen=True)
class Shard:
    """Every ``count``-th batch of a run, from batch ``index`` on: 0 of 1 is all of them."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``INDEX/COUNT``, with an index from 0. Raises ConfigError for any other text."""
        numbers = re.fullmatch(rf"([0-9]{{1,{_DIGITS}}})/([0-9]{{1,{_DIGITS}}})", text.strip(), re.ASCII)
        if numbers is None:
            raise ConfigError(f"--shard must be INDEX/COUNT, such as 3/40, not {shown(text)}")
        index, count = map(int, numbers.groups())
        if count == 0:
            raise ConfigError(f"--shard {text}: there must be at least 1 shard")
        if index >= count:
            raise ConfigError(f"--shard {text}: shards are numbered from 0, those of {count} are 0 to {count - 1}")
        return cls(index, count)

    def of(self, chunks: Iterable[range], archive: Archive | None = None) -> list[range]:
        """The shard's part of a run's batches: those of every ``count``-th batch, or tar file of ``archive``."""
        if archive is not None:
            firsts = {tar.start for tar in self.of(archive.tars())}
            return [chunk for chunk in chunks if archive.tar_of(chunk.start).start in firsts]
        return [chunk for number, chunk in enumerate(chunks) if number % self.count == self.index]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


ALL = Shard()
"""Of a run that is not shared."""


def check_shard(shard: Shard | None, output: str | None) -> None:
    """Raise ConfigError for a shard where --output is no folder."""
    if shard is not None and (output is None or not is_folder(output)):
        raise ConfigError("--shard needs a folder as --output, the same for all shards, such as --output images/")


def shard_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --shard and --mixed-machines."""

    @click.option(
        "--shard",
        metavar="INDEX/COUNT",
        help="Make only every COUNT-th batch, from batch INDEX (from 0) on. All shards write one folder, on any "
        "machines, and together the same files as one run.",
    )
    @click.option(
        "--mixed-machines",
        is_flag=True,
        help="Write a folder that another kind of machine began: images may differ by rounding errors.",
    )
    @functools.wraps(command)
    def with_shard(shard: str | None, **rest: Any) -> Any:
        if shard is not None and rest["force"]:
            raise ConfigError("--force could remove the images of other shards: delete the folder before they start")
        return command(shard=None if shard is None else Shard.parse(shard), **rest)

    return with_shard
