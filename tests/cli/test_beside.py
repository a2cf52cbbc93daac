"""Writing happens beside the network: in order, with bounded memory, and its errors are raised."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.cli.beside import Beside
from ddim_edge.generation.pipeline import Pipeline
from tests.helpers.command_line import Invoke


def test_work_is_done_in_order_in_another_thread() -> None:
    beside, seen = Beside(), list[tuple[int, bool]]()
    for number in range(20):
        beside.do(lambda n: seen.append((n, threading.current_thread() is threading.main_thread())), number)
    beside.wait()
    assert seen == [(number, False) for number in range(20)]


def test_no_more_than_two_pieces_are_pending() -> None:
    beside, may_go_on, third = Beside(), threading.Event(), threading.Event()

    def more() -> None:
        for _ in range(3):
            beside.do(lambda: None if may_go_on.wait(30) else pytest.fail("never went on"))
        third.set()

    thread = threading.Thread(target=more)
    thread.start()
    assert not third.wait(0.1)  # it cannot be taken while two wait for the event
    may_go_on.set()
    thread.join()
    assert third.is_set()


def _fail() -> None:
    raise OSError("the disk is full")


def test_wait_raises_an_error() -> None:
    beside = Beside()
    beside.do(_fail)
    with pytest.raises(OSError, match="the disk is full"):
        beside.wait()


def test_an_error_ends_the_work_that_follows() -> None:
    beside = Beside()

    def all_work() -> None:
        for _ in range(3):
            beside.do(_fail)

    with pytest.raises(OSError, match="the disk is full"):
        all_work()


def test_a_full_disk_is_one_line(
    invoke: Invoke, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch cannot be written: the run ends before the last one is made."""
    made = list[int]()

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def run(self: Pipeline, *arguments: Any) -> Iterator[Any]:
        for progress in whole(self, *arguments):
            made.append(progress.indices.start)
            yield progress

    whole = Pipeline.run
    monkeypatch.setattr(Pipeline, "run", run)
    monkeypatch.setattr(os, "replace", full)
    outcome = invoke("run", tiny_bundle, "-s", 1, "-n", 50, "-b", 1, "-o", "out/")
    assert outcome.failed_with("cannot write out/0000", os.strerror(errno.ENOSPC))
    assert len(made) < 50
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]
