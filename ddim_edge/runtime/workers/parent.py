"""Workers: processes that are asked for one run after another, and what they fail with."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

_END_S = 10.0


class WorkerFailedError(Exception):
    """A worker cannot go on, for a reason of one line."""


class Worker:
    """A process that runs ``module`` with ``settings`` and answers questions; see ``ddim_edge.runtime.workers.child``.

    It is not disturbed by Ctrl-C, which is for the one that asks.
    """

    def __init__(self, module: str, settings: Mapping[str, Any]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            start_new_session=os.name == "posix",
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> dict[str, Any]:
        """Wait until it has opened, and run once to warm up, what it measures; returns what it says of that."""
        return dict(self._answer()["ready"])

    def ask(self, **question: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. WorkerFailedError says why there is none."""
        assert self._process.stdin is not None
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
        except OSError:
            raise WorkerFailedError(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailedError(self._last_words())
        answer = dict(json.loads(line))
        if "failed" in answer:
            raise WorkerFailedError(answer["failed"])
        return answer

    def _last_words(self) -> str:
        """Of a process that ended without a word: its exit code, and the last line of its errors."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"its process {how}" + (f": {said[-1]}" if said else "")

    def stop(self) -> None:
        """End the process, at once where it is in the middle of something."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what was written last was never read
                stream.close()
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
