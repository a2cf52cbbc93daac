"""Hashes of files are kept in the user's cache for the state that a file had, and for no other."""

import hashlib
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from ddim_edge.graphs import file_hashes, file_state
from ddim_edge.graphs.file_hashes import known_sha256, known_sha256_of_all, read_sha256, remember
from tests.helpers.hashing import count_reading, forget_in_process, keep_all_hashes


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    keep_all_hashes(monkeypatch, tmp_path / "cache")
    path = tmp_path / "model.onnx_data"
    path.write_bytes(b"weights")
    return path


def _hash(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def _notes(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "hashes").glob("*"))


def _overwrite(path: Path, contents: bytes) -> None:
    """Write other contents of the same size, and set the time of modification back."""
    before = path.stat()
    path.write_bytes(contents)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def test_the_second_process_reads_nothing(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reading(monkeypatch)
    for _ in range(3):
        assert known_sha256(weights) == _hash(b"weights")
        assert known_sha256(weights) == _hash(b"weights")
        forget_in_process(monkeypatch)
    assert read == [weights]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no time of change")
def test_another_byte_with_the_same_size_and_time_is_noticed(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for contents in (b"weights", b"weightz", b"weighty"):
        _overwrite(weights, contents)
        assert known_sha256(weights) == _hash(contents)
        forget_in_process(monkeypatch)
        assert known_sha256(weights) == _hash(contents)


def test_what_another_file_at_the_same_place_had_is_not_used(weights: Path, tmp_path: Path) -> None:
    known_sha256(weights)
    other = tmp_path / "other"
    other.write_bytes(b"weightz")
    os.utime(other, ns=(0, weights.stat().st_mtime_ns))
    other.replace(weights)
    assert known_sha256(weights) == _hash(b"weightz")


def test_a_copy_is_read_and_a_link_to_the_same_file_is_not(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_sha256(weights)
    read = count_reading(monkeypatch)
    copy, link = tmp_path / "copy", tmp_path / "link"
    shutil.copy2(weights, copy)
    link.symlink_to(weights)
    for path in (copy, link):
        forget_in_process(monkeypatch)
        assert known_sha256(path) == _hash(b"weights")
    assert read == [copy]


def test_reading_on_purpose_reads_always_and_corrects_the_note(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_sha256(weights)
    (note,) = _notes(tmp_path)
    note.write_text(note.read_text().replace(_hash(b"weights"), "0" * 64))
    forget_in_process(monkeypatch)
    assert known_sha256(weights) == "0" * 64  # a note is believed: only the user can write there
    assert read_sha256(weights) == _hash(b"weights")
    remember(weights)
    forget_in_process(monkeypatch)
    assert known_sha256(weights) == _hash(b"weights")


@pytest.mark.parametrize("contents", ["", "{", "[]", "{}", '{"sha256": 3}', '{"sha256": "%s"}' % ("0" * 64)])
def test_a_note_that_cannot_be_read_is_not_used(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: str
) -> None:
    known_sha256(weights)
    (note,) = _notes(tmp_path)
    whole = note.read_text()
    note.write_text(contents)
    forget_in_process(monkeypatch)
    assert known_sha256(weights) == _hash(b"weights")
    assert note.read_text() == whole


def test_a_note_has_the_state_and_the_hash_and_names_no_file(weights: Path, tmp_path: Path) -> None:
    known_sha256(weights)
    (note,) = _notes(tmp_path)
    found = weights.stat()
    assert json.loads(note.read_text()) == {
        "size": 7,
        "modified": found.st_mtime_ns,
        "changed": found.st_ctime_ns,
        "inode": found.st_ino,
        "sha256": _hash(b"weights"),
    }
    assert "model" not in note.name


def test_without_a_cache_that_can_be_written_a_process_reads_once(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unusable in (os.devnull, f"{weights.parent}/{'n' * 300}"):
        monkeypatch.setenv("DDIM_EDGE_CACHE", unusable)
        forget_in_process(monkeypatch)
        read = count_reading(monkeypatch)
        assert known_sha256(weights) == known_sha256(weights) == _hash(b"weights")
        assert read == [weights]


def test_without_a_home_folder_there_is_no_note(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DDIM_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert known_sha256(weights) == _hash(b"weights")


def test_a_small_file_and_one_that_changed_just_now_are_not_remembered(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hashes, "SMALL", 8)
    known_sha256(weights)
    monkeypatch.setattr(file_hashes, "SMALL", 0)
    monkeypatch.setattr(file_state, "SETTLED_NS", 10**15)
    known_sha256(weights)
    assert _notes(tmp_path) == []
    assert file_hashes._read == {}


@pytest.mark.usefixtures("weights")
def test_what_moves_with_its_folder_is_remembered_without_reading(tmp_path: Path) -> None:
    """As an export, which hashes its files in a temporary folder that it renames."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(b"graph")
    read_sha256(path)
    assert _notes(tmp_path) == []
    moved = folder.rename(tmp_path / "moved") / "model.onnx"
    remember(moved)
    (note,) = _notes(tmp_path)
    assert json.loads(note.read_text())["sha256"] == _hash(b"graph")


def test_two_threads_read_a_file_once(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reading(monkeypatch)
    first_is_reading, goes_on = threading.Event(), threading.Event()
    spied = file_hashes.read_sha256

    def wait(path: Path) -> str:
        first_is_reading.set()
        assert goes_on.wait(30)
        return spied(path)

    monkeypatch.setattr(file_hashes, "read_sha256", wait)
    threads = [threading.Thread(target=known_sha256, args=(weights,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert first_is_reading.wait(30)
    goes_on.set()
    for thread in threads:
        thread.join(30)
    assert read == [weights]


def test_the_hash_of_several_files_is_that_of_their_digests(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"")
    digests = hashlib.sha256(b"weights").digest() + hashlib.sha256(b"").digest()
    assert known_sha256_of_all([weights, other]) == _hash(digests)


def test_what_is_missing_or_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        known_sha256(tmp_path / "missing")
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        known_sha256(tmp_path)
