"""``--output -``: the image file is written to standard output, and nothing else."""

import sys
from collections.abc import Mapping
from pathlib import Path

from ..arrays import Shape
from ..errors import ConfigError
from ..generation.requests.request import Request
from .output import FileOutput

STANDARD_OUTPUT = "-"


def check_standard_output(output: str | None, others: Mapping[str, object]) -> None:
    """Raise ConfigError for options that write something else, and for a terminal, which would show a file's bytes."""
    if output != STANDARD_OUTPUT:
        return
    for name, given in others.items():
        if given not in (None, False):
            raise ConfigError(
                f"--output - writes one image file to standard output: leave --{name.replace('_', '-')} out"
            )
    if _is_terminal():
        raise ConfigError("--output - writes a file's bytes to standard output, which is a terminal: redirect it")


def _is_terminal() -> bool:
    return sys.stdout.isatty()


class StandardOutput(FileOutput):
    """Writes all images as one file to standard output. ``path`` has the suffix of the format."""

    def _check(self) -> None:
        """Nothing can be checked before the bytes are written."""

    def finished(self, _request: Request, _shape: Shape | None) -> bool:
        """Never."""
        return False

    def write(self) -> None:
        sys.stdout.buffer.write(self.contents())
        sys.stdout.buffer.flush()
        self.path = Path(STANDARD_OUTPUT)
