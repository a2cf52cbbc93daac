"""The command line called by tests."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

COMMAND = [sys.executable, "-c", "from ddim_edge.cli import main; main()"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def failed_with(self, *parts: str, code: int = 2) -> bool:
        """Whether it failed as a command should: one line on stderr with all of ``parts``, no more."""
        assert (self.code, self.out) == (code, "")
        assert self.err.startswith("ddim-edge: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err
        return True


Invoke = Callable[..., Outcome]
