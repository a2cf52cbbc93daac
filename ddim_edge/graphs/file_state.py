"""The state of a file: as long as it is the same, so are the contents."""

import os
from typing import NamedTuple

SETTLED_NS = 100_000_000
"""Clocks of file systems stand still for some milliseconds, in which a file may change and keep its state."""


class FileState(NamedTuple):
    """A file's size in bytes, times in nanoseconds, and place.

    A program can set the time of modification, but not the time of change. (Windows has none.)
    """

    size: int
    modified: int
    changed: int
    inode: int
    device: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileState":
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)

    def is_settled(self, now: int) -> bool:
        """Whether the file would have another state if it changed after ``now``, in nanoseconds since the epoch."""
        return now - max(self.modified, self.changed) > SETTLED_NS
