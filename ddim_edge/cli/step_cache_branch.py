"""The value of ``export --step-cache``: a branch of the UNet, which may be left out."""

import click

from ..errors import ConfigError, shown


def read_branch(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """The number. ConfigError for another text: where the number is left out before SOURCE, that is taken for it."""
    if text is not None and not text.isdecimal():
        raise ConfigError(
            f"--step-cache takes a whole number from 0 on, not {shown(text)}: give --step-cache 0, or --step-cache "
            "alone after OUT"
        )
    return None if text is None else int(text)
