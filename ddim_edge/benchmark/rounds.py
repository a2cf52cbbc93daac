"""Rounds: every worker is asked in turn, A B C A B C, so that what disturbs the machine disturbs all alike."""

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
    """One configuration with its process, and what came of it so far."""

    configuration: Configuration
    worker: Worker | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What the worker said when it was ready."""
    rounds: list[Round] = field(default_factory=list)
    reason: str | None = None
    """Why it was not measured, or not to its end."""

    _gpu_memory: int | None = None

    @property
    def _gpu(self) -> int | None:
        """Which of NVIDIA's GPUs it may use; None where it uses none."""
        return gpu_of(self.configuration.provider)

    @property
    def lives(self) -> bool:
        return self.worker is not None and self.reason is None

    @property
    def label(self) -> str:
        of = self.configuration
        return f"{of.bundle.name}, {of.side} on {of.provider}, batch {of.batch}"

    def start(self) -> None:
        """Start the process and wait until it has warmed up, alone: what tunes itself then wants a still machine."""
        before = used_memory(self._gpu)
        self.worker = Worker(self.configuration.module, self.configuration.settings)
        self._try(lambda worker: self.facts.update(worker.ready()))
        self._gpu_memory = grown(before, used_memory(self._gpu))

    def take(self, seed: int) -> None:
        """One round more."""
        self._try(lambda worker: self.rounds.append({**worker.ask(seed=seed), "gpu_memory": self._memory_of(worker)}))

    def _memory_of(self, worker: Worker) -> int | None:
        """Of the GPU; where the driver does not tell it of a process, what went when that started."""
        told = None if self._gpu is None else process_memory(self._gpu, worker.pid)
        return self._gpu_memory if told is None else told

    def ask(self, **question: Any) -> dict[str, Any]:
        """Any other question; nothing where it fails, and ``reason`` says why."""
        answer: dict[str, Any] = {}
        self._try(lambda worker: answer.update(worker.ask(**question)))
        return answer

    def _try(self, use: Callable[[Worker], None]) -> None:
        assert self.worker is not None
        try:
            use(self.worker)
        except (WorkerFailedError, json.JSONDecodeError, KeyError) as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """It is not asked again."""
        self.reason = reason
        self.stop()

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def row(self) -> dict[str, Any]:
        """What --json says of it."""
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
    def lives(self) -> bool: ...

    def take(self, seed: int, /) -> None:
        """Measure one round."""


def interleave(cells: Iterable[Measured], repeats: int, notify: Notify) -> None:
    """Ask all that live, round by round; one that fails leaves the others alone."""
    all_cells = list(cells)
    for number in range(repeats):
        for cell in all_cells:
            if cell.lives:
                notify(f"round {number + 1} of {repeats}: {cell.label}")
                cell.take(number)
