"""The guards of a case see what a case must not do."""

import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from . import guard
from .guard import Hung, guarded


def _write(path: Path) -> None:
    path.write_text("a")


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (lambda root: _write(root / "elsewhere"), "open "),
        (lambda root: (root / "elsewhere").mkdir(), "os.mkdir "),
        (lambda root: (root / "out" / "a").rename(root / "a"), "os.rename "),
        (lambda root: (root / "link").symlink_to("/"), "os.symlink "),
        (lambda _root: subprocess.run(["true"], check=False), "subprocess.Popen 'true'"),
        (lambda _root: socket.socket().bind(("127.0.0.1", 0)), "socket.bind"),
    ],
)
def test_what_must_not_be_done_is_seen(tmp_path: Path, act: Callable[[Path], object], word: str) -> None:
    (tmp_path / "out").mkdir()
    _write(tmp_path / "out" / "a")
    with guarded(tmp_path / "out") as faults:
        act(tmp_path)
    assert [fault for fault in faults if word in fault], faults


def test_writing_the_output_is_right(tmp_path: Path) -> None:
    with guarded(tmp_path) as faults:
        _write(tmp_path / "a")
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "b").unlink()
    assert faults == []


def test_a_case_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LONGEST_S", 0.05)
    with pytest.raises(Hung, match="no end after"), guarded(tmp_path):
        threading.Event().wait()


def test_much_memory_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 100_000_000)
    with guarded(tmp_path) as faults:
        kept = np.ones(50_000_000)  # more than earlier tests may have left free
    assert len(faults) == 1, kept.size
    assert "GiB of memory" in faults[0]
