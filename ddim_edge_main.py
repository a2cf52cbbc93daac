"""The program ``ddim-edge``. A module of its own, so that Ctrl-C ends in one line while the package is imported."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit, as ``ddim_edge.cli.main``."""
    try:
        from ddim_edge.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("ddim-edge: interrupted\n")
        sys.exit(INTERRUPTED)
