"""``--seed``: a number, or ``random`` for a new one."""

import secrets
from typing import Any

import click

from ..errors import ConfigError

RANDOM = "random"


class DrawnSeed(int):
    """A seed that was drawn, since the user gave none: the same command would draw another one."""


class SeedType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The type of ``--seed``."""

    name = "integer|random"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Draw a seed below 2^31 for ``random``."""
        if value == RANDOM:
            return DrawnSeed(secrets.randbelow(2**31))
        number: int = click.INT.convert(value, param, ctx)
        return number


def check_shared_seed(seed: int | None, shared: object) -> None:
    """Raise ConfigError where several processes, as with --shard, would each draw a seed."""
    if shared is not None and isinstance(seed, DrawnSeed):
        raise ConfigError("--seed random draws a seed for each process: give all shards the same number")


def same_command(seed: int) -> str:
    """What to run to go on with a run of this seed."""
    return f"run the same command with --seed {seed}" if isinstance(seed, DrawnSeed) else "run the same command"
