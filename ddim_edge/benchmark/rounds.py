"""Interleaved rounds: workers are measured in turn, A B C A B C, so that a disturbance affects all of them equally."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..runtime.hardware.nvidia import process_memory
from ..runtime.workers.parent import Worker, WorkerFailedError
from .gpu_memory import gpu_of, grown, used_memory
from .plan import Configuration
from .statistics import Round, figures

Notify = Callable[[str], None]


@dataclass(eq=False)
class Cell:
    """One configuration with its worker process and its measurements so far."""

    configuration: Configuration
    worker: Worker | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What the worker reported when it was ready."""
    rounds: list[Round] = field(default_factory=list)
    reason: str | None = None
    """Why it was not measured, or not in all rounds."""

    _gpu_memory: int | None = None

    @property
    def _gpu(self) -> int | None:
        """The number of the NVIDIA GPU that it may use; None where it uses none."""
        return gpu_of(self.configuration.provider)

    @property
    def is_running(self) -> bool:
        return self.worker is not None and self.reason is None

    @property
    def label(self) -> str:
        of = self.configuration
        return f"{of.bundle.name}, {of.side} on {of.provider}, batch {of.batch}"

    def start(self) -> None:
        """Start the process and wait until it has warmed up, alone: autotuning needs an idle machine."""
        before = used_memory(self._gpu)
        self.worker = Worker(self.configuration.module, self.configuration.settings)
        self._try(lambda worker: self.facts.update(worker.ready()))
        self._gpu_memory = grown(before, used_memory(self._gpu))

    def take(self, seed: int) -> None:
        """Measure one round."""
        self._try(lambda worker: self.rounds.append({**worker.ask(seed=seed), "gpu_memory": self._memory_of(worker)}))

    def _memory_of(self, worker: Worker) -> int | None:
        """The GPU memory of the process, or where the driver does not report it, the growth at its start."""
        reported = None if self._gpu is None else process_memory(self._gpu, worker.pid)
        return self._gpu_memory if reported is None else reported

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send another request; the response is empty where it fails, and ``reason`` is set."""
        response: dict[str, Any] = {}
        self._try(lambda worker: response.update(worker.ask(**request)))
        return response

    def _try(self, use: Callable[[Worker], None]) -> None:
        assert self.worker is not None
        try:
            use(self.worker)
        except (WorkerFailedError, json.JSONDecodeError, KeyError) as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """Set the reason and end the process; it is not measured again."""
        self.reason = reason
        self.stop()

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def row(self) -> dict[str, Any]:
        """The configuration and its figures, for --json."""
        of = self.configuration
        return {
            "bundle": str(of.bundle),
            "batch": of.batch,
            "side": of.side,
            "provider": self.facts.get("provider", of.provider),
            "precision": self.facts.get("precision"),
            "reason": self.reason,
            "facts": self.facts,
            **(figures(self.rounds, of.batch) if self.rounds else {}),
            "rounds": self.rounds,
        }


class Measured(Protocol):
    """What ``interleave`` measures: a ``Cell``, or anything else with a label that can be measured once per round."""

    @property
    def label(self) -> str: ...

    @property
    def is_running(self) -> bool: ...

    def take(self, seed: int, /) -> None:
        """Measure one round."""


def interleave(cells: Iterable[Measured], repeats: int, notify: Notify) -> None:
    """Measure all cells that run, round by round; one that fails does not stop the others."""
    all_cells = list(cells)
    for number in range(repeats):
        for cell in all_cells:
            if cell.is_running:
                notify(f"round {number + 1} of {repeats}: {cell.label}")
                cell.take(number)
