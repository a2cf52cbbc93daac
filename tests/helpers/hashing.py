"""Small and new files whose hashes are kept, and which files are read for their hash."""

import hashlib
import threading
from pathlib import Path

import pytest

from ddim_edge.graphs import file_hashes, file_state


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def keep_all_hashes(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Keep the hashes of small files too, and of files that were written just now, in ``cache``."""
    monkeypatch.setenv("DDIM_EDGE_CACHE", str(cache))
    monkeypatch.setattr(file_hashes, "SMALL", 0)
    monkeypatch.setattr(file_state, "SETTLED_NS", -(10**15))
    forget_in_process(monkeypatch)


def forget_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process has read, as a new process."""
    monkeypatch.setattr(file_hashes, "_read", {})


def count_reading(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A list of the files that are read for their hash from now on."""
    read: list[Path] = []
    hash_of = file_hashes.read_sha256

    def spy(path: Path) -> str:
        read.append(path)
        return hash_of(path)

    monkeypatch.setattr(file_hashes, "read_sha256", spy)
    return read


def hold_reading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Files are read for their hash only after the event that is returned was set."""
    goes_on = threading.Event()
    hash_of = file_hashes.read_sha256

    def wait(path: Path) -> str:
        assert goes_on.wait(60)
        return hash_of(path)

    monkeypatch.setattr(file_hashes, "read_sha256", wait)
    return goes_on
