"""What the command line says of long work that it does unasked: one line on stderr, unless ``--quiet`` is given."""

import contextlib
import logging
from collections.abc import Iterator

import click

from .failures import say

_LOGGER = "ddim_edge.build"


class _Lines(logging.Handler):
    """Prints a record as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, also from threads, which have no command."""
        context = click.get_current_context(silent=True)
        if context is None or not context.params.get("quiet"):
            say(record.getMessage())


@contextlib.contextmanager
def notices_on_stderr() -> Iterator[None]:
    """Print notices of the block."""
    logger, handler = logging.getLogger(_LOGGER), _Lines()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # the server's handler would print them again
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
