"""Worker processes: what is left of one that is killed, that does not start, or that fails."""

import os
import signal
from pathlib import Path

import pytest

from ddim_edge.benchmark.plan import Settings, ours
from ddim_edge.benchmark.rounds import Cell
from ddim_edge.errors import ConfigError
from ddim_edge.runtime.workers.child import one_line_error
from ddim_edge.runtime.workers.parent import Worker, WorkerFailedError


def cell_of(bundle: Path) -> Cell:
    cell = Cell(ours(bundle, 1, "cpu", Settings(steps=2)))
    cell.start()
    assert cell.is_running, cell.reason
    return cell


def test_a_worker_that_is_killed_fails_alone(tiny_bundle: Path) -> None:
    cell = cell_of(tiny_bundle)
    assert cell.worker is not None
    cell.take(0)
    os.kill(cell.worker.pid, signal.SIGKILL)
    cell.take(1)
    assert len(cell.row()["rounds"]) == 1
    assert cell.reason == "its process was killed by SIGKILL"


def test_a_worker_is_not_in_the_group_that_ctrl_c_reaches(tiny_bundle: Path) -> None:
    cell = cell_of(tiny_bundle)
    assert cell.worker is not None
    assert os.getpgid(cell.worker.pid) != os.getpgid(0)
    cell.stop()


def test_a_worker_that_does_not_start_says_the_last_it_said() -> None:
    worker = Worker("ddim_edge.no_such_module", {})
    with pytest.raises(WorkerFailedError, match=r"ended with code 1: .*No module named"):
        worker.ready()
    worker.stop()


def test_a_reason_is_one_line() -> None:
    assert one_line_error(ConfigError("so\n and so")) == "so and so"
    assert one_line_error(KeyError("x")) == "KeyError: 'x'"
