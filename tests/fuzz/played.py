"""How a case ended."""

from typing import NamedTuple

LONGEST_LINE = 2000
"""Most characters of an error message: it may list valid names, and quotes at most 200 characters of input."""


class Played(NamedTuple):
    """The outcome of a case, such as ``exit 2`` or ``400``; ``fault`` says what is wrong with it, if anything."""

    outcome: str
    fault: str | None = None
