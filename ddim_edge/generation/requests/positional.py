"""Values without a name: generation options are given by name."""

from collections.abc import Sequence

from ...bundle.bundle import Bundle
from ...errors import ConfigError, shown


class PositionalError(ConfigError, TypeError):
    """A value that is given without the name of its option."""


def refuse_positional(bundle: Bundle, values: Sequence[object]) -> None:
    """Raise PositionalError if there are values without a name."""
    if values:
        example = f"labels=[{bundle.labels[0]!r}]" if bundle.labels else "prompt='a fox'"
        raise PositionalError(
            f"options are given by name, and {shown(values[0])} has none: write for instance {example}, num_steps=20"
        )
