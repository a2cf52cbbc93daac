"""The hash of a model's files: in another thread where files must be read for it, and never of replaced files."""

import threading
from pathlib import Path

import pytest

from ddim_edge.errors import BundleError
from ddim_edge.files import write_file
from ddim_edge.graphs import file_hashes
from ddim_edge.graphs.background_hash import BackgroundHash
from ddim_edge.graphs.file_hashes import known_sha256_of_all
from ddim_edge.graphs.same_files import SameFiles
from tests.helpers.hashing import count_reading, forget_in_process, hold_reading, keep_all_hashes


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    paths = [tmp_path / name for name in ("graph", "weights")]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_what_must_be_read_is_read_in_another_thread(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = hold_reading(monkeypatch)
    background = BackgroundHash(paths, SameFiles())  # and does not wait for the hash
    goes_on.set()
    assert background.result() == background.result() == known_sha256_of_all(paths)


def test_what_is_known_needs_no_thread(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = known_sha256_of_all(paths)
    forget_in_process(monkeypatch)
    read = count_reading(monkeypatch)
    monkeypatch.setattr(threading, "Thread", None)
    assert BackgroundHash(paths, SameFiles()).result() == wanted
    assert read == []


def test_small_files_need_no_thread(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_hashes, "SMALL", 1000)
    monkeypatch.setattr(threading, "Thread", None)
    assert BackgroundHash(paths, SameFiles()).result() == known_sha256_of_all(paths)


def test_a_file_that_was_replaced_while_it_was_read_is_an_error(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = hold_reading(monkeypatch)
    background = BackgroundHash(paths, SameFiles())
    write_file(paths[1], b"others!")
    goes_on.set()
    for _ in range(2):
        with pytest.raises(BundleError, match="weights was replaced after the model was opened"):
            background.result()


def test_an_error_of_the_thread_is_raised_where_the_hash_is_wanted(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> str:
        assert threading.current_thread() is not threading.main_thread()
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(file_hashes, "read_sha256", broken)
    background = BackgroundHash(paths, SameFiles())
    with pytest.raises(OSError, match="Input/output error"):
        background.result()


def test_a_missing_file_is_an_error_at_once(paths: list[Path]) -> None:
    paths[0].unlink()
    with pytest.raises(BundleError, match=r"cannot read .*graph"):
        BackgroundHash(paths, SameFiles())
