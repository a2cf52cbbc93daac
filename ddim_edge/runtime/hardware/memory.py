"""Memory of this process: how much it uses and may use, and how to return freed memory to the system."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def trim_heap() -> None:
    """Return freed memory to the system, with glibc only; other C libraries do so by themselves or have no such call.

    ONNX Runtime reads a graph's weights, copies them into another layout, and frees what it read, in many blocks. glibc
    keeps the blocks below 32 MiB, which are about two thirds of the weights.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], Any] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def peak_memory() -> int | None:
    """The largest resident size of this process so far, in bytes; None where the system does not report it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return _peak_by_usage()
    # Not getrusage, which includes the process that this one was forked from.
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _peak_by_usage() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


ReadMemory = Callable[[], int | None]
"""Reads a number of bytes; None where the platform does not report it."""


SHARE = 0.8
"""The default limit, as a share of the memory that is free at start."""


def private_bytes() -> int | None:
    """The resident memory of this process that no file backs, without mapped weights; None where it is not reported."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), None)


def budget_bytes() -> int | None:
    """The private memory that this process may use: what it has, and ``SHARE`` of what is free, also in its container.

    Mapped weights are not private: the system takes their memory back where it is short.
    """
    used, free = private_bytes(), _free_bytes()
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
    """The memory that the limit of this process's cgroup (v2) leaves free; None without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        return max(0, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
