"""Files are written whole or not at all, under names that nobody can predict or take."""

import errno
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import OutputError
from ddim_edge.files import atomic_write, write_file, write_new_file


def _names(folder: Path) -> list[Path]:
    return [folder / f"{number}.png" for number in range(4)]


def test_a_new_file_takes_the_first_free_name(tmp_path: Path) -> None:
    assert [write_new_file(_names(tmp_path), bytes([number])).name for number in range(3)] == [
        "0.png",
        "1.png",
        "2.png",
    ]
    assert [(tmp_path / f"{number}.png").read_bytes() for number in range(3)] == [b"\0", b"\1", b"\2"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_new_file_without_a_free_name(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_new_file([tmp_path / "run.json"], b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def no_link(*_arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_link)
    test_a_new_file_takes_the_first_free_name(tmp_path)


def _write(folder: Path, start: Any, contents: bytes) -> None:
    start.wait()
    write_new_file(_names(folder), contents)


def test_processes_that_write_at_once_get_a_name_each(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    contents = [bytes([number]) * 100_000 for number in range(4)]
    processes = [context.Process(target=_write, args=(tmp_path, start, data)) for data in contents]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == contents


def test_the_temporary_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.setattr(os, "urandom", bytes)
    with atomic_write(folder / "a.png") as file:
        temporary = Path(file.name)
    temporary.symlink_to(victim)
    with pytest.raises(OutputError, match="File exists"):
        write_file(folder / "a.png", b"new")
    assert victim.read_bytes() == b"old"


def test_the_temporary_name_is_another_each_time(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        with atomic_write(tmp_path / "a.png") as file:
            names.add(file.name)
    assert len(names) == 3


def _recorded(name: str, function: Callable[..., None], calls: list[str]) -> Callable[..., None]:
    def record(*arguments: Any) -> None:
        calls.append(name)
        function(*arguments)

    return record


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace", "link"):
        monkeypatch.setattr(os, name, _recorded(name, getattr(os, name), calls))
    write_file(tmp_path / "a", b"new")
    write_new_file([tmp_path / "b"], b"new")
    assert calls == ["fsync", "replace", "fsync", "fsync", "link", "fsync"]
