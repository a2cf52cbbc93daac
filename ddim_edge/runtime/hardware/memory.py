"""Memory that has been freed, and that the C library keeps instead of giving it back to the system."""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def trim_heap() -> None:
    """Give it back, where the C library is glibc; the others do so by themselves, or cannot be asked.

    ONNX Runtime reads a graph's weights, lays them out anew and frees what it read: in many pieces, of which glibc
    keeps those below 32 MiB. That comes to two thirds of the weights.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], Any] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def peak_memory() -> int | None:
    """The largest resident set of this process so far, in bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return _peak_by_usage()
    # getrusage counts what the process was forked from.
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _peak_by_usage() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


ReadMemory = Callable[[], int | None]
"""Bytes; None where the platform does not tell."""


SHARE = 0.8
"""Of the memory that is free at start, how much may be used where nobody says."""


def used_bytes() -> int | None:
    """The resident size of this process; None where the platform does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def budget_bytes() -> int | None:
    """What this process may use: what it does use, and a share of what is free, in its container too."""
    used, free = used_bytes(), _free_bytes()
    return None if used is None or free is None else used + int(SHARE * free)


def _free_bytes() -> int | None:
    values = [value for value in (_machine_free(), _container_free()) if value is not None]
    return min(values, default=None)


def _machine_free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _container_free() -> int | None:
    """What cgroup v2 leaves to this process's group; None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        return max(0, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
