"""``--seed``: a number, or ``random`` for a new one."""

import secrets

from ..errors import ConfigError, shown

RANDOM = "random"


class DrawnSeed(int):
    """A seed that was drawn, since the user gave none: the same command would draw another one."""


def seed_of(text: str | None) -> int | None:
    """The seed that a text names: a number, or one below 2^31 that is drawn; None for None."""
    if text is None:
        return None
    if text == RANDOM:
        return DrawnSeed(secrets.randbelow(2**31))
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"--seed must be a whole number, or random, not {shown(text)}") from None


def check_shared_seed(seed: int | None, shared: object) -> None:
    """Raise ConfigError where several processes, as with --shard, would each draw a seed."""
    if shared is not None and isinstance(seed, DrawnSeed):
        raise ConfigError("--seed random draws a seed for each process: give all shards the same number")


def same_command(seed: int) -> str:
    """What to run to go on with a run of this seed."""
    return f"run the same command with --seed {seed}" if isinstance(seed, DrawnSeed) else "run the same command"
