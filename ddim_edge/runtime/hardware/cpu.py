"""What of the machine's processors this process may use, and so how many threads a graph gets on the CPU.

By itself ONNX Runtime starts a thread for every physical core of the machine, those that are off included, and pins
each to its own. It asks neither for the affinity mask (its threads leave that of ``taskset``, and in a container cannot
be pinned) nor for a container's quota, nor for OMP_NUM_THREADS. Where one of these says less than the machine has, it
is told the number of threads, and then pins none.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_VARIABLES = ("ORT_INTRA_OP_NUM_THREADS", "OMP_NUM_THREADS")
"""The first is ONNX Runtime's own, which its newer versions read by themselves; it is the more particular."""


@dataclass(frozen=True)
class Cpu:
    """What there is, what this process may use of it, and what is made of that.

    Attributes:
        cores: the machine's physical cores; None where the system does not say.
        allowed: those that are on and that this process may run on; None where the system does not say.
        quota: processor time that the control group allows, in cores; None where it sets no limit.
        asked: the threads that an environment variable asks for; None where none does.
        ignored: environment variables of that kind, ``NAME=value``, that name no number of threads. (OpenMP, too,
            goes on without them.)
        masked: whether the machine has processors that are off, or that this process may not run on.
    """

    cores: int | None
    allowed: int | None
    quota: float | None = None
    asked: int | None = None
    ignored: tuple[str, ...] = ()
    masked: bool = False

    @property
    def chosen(self) -> int | None:
        """How many threads a graph should have, at least 1; None where there is nothing to choose by."""
        if self.asked is not None or self.allowed is None:
            return self.asked
        return max(1, min(self.allowed, self.allowed if self.quota is None else int(self.quota + 0.5)))

    @property
    def threads(self) -> int:
        """The same for ONNX Runtime's ``intra_op_num_threads``: 0 where its own choice, which pins, is right."""
        if self.chosen is None or (self.chosen == self.cores and not self.masked and not self.ignored):
            return 0
        return self.chosen  # also beside a bad value: of its own variable's, ONNX Runtime would not go on without it

    @property
    def is_metered(self) -> bool:
        """Whether a quota below the cores makes a thread that waits by spinning take time from those that work."""
        return self.quota is not None and self.allowed is not None and self.quota < self.allowed

    def __str__(self) -> str:
        facts = [f"{_counted(self.cores, 'physical core')}"] if self.cores is not None else []
        facts += [f"{self.allowed} of them allowed"] if self.masked else []
        facts += [f"a quota of {self.quota:g}"] if self.quota is not None else []
        facts += [f"{self.asked} asked for by the environment"] if self.asked is not None else []
        facts += [f"{variable} is no number of threads and is ignored" for variable in self.ignored]
        threads = "as many threads as ONNX Runtime takes" if self.threads == 0 else _counted(self.threads, "thread")
        return f"{threads} a graph ({', '.join(facts) or 'the system says nothing of its cores'})"


def threads() -> int:
    """How many threads a graph should run on, for ``intra_op_num_threads``; 0 leaves it to ONNX Runtime."""
    return describe().threads


def describe(root: Path = _ROOT, environ: Mapping[str, str] = os.environ, mask: set[int] | None = None) -> Cpu:
    """Read what this process may use.

    ``root`` is where /proc and /sys are; ``mask`` the processors that the process may run on, where not the real ones.
    """
    asked, ignored = _asked(environ)
    mask = _mask() if mask is None else mask
    if mask is None:
        return Cpu(None, None, None, asked, ignored)
    present = _listed(_read(root / "sys/devices/system/cpu/present")) or mask
    return Cpu(
        cores=_cores(root, present),
        allowed=_cores(root, mask),
        quota=_quota(root),
        asked=asked,
        ignored=ignored,
        masked=not present <= mask,
    )


def _counted(number: int | None, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _mask() -> set[int] | None:
    # Linux alone has it. Elsewhere ONNX Runtime asks the system itself, and there are no control groups.
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def _asked(environ: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    """What the first variable that makes sense asks for, and those that make none."""
    said = {name: environ[name] for name in _VARIABLES if environ.get(name, "").strip()}
    numbers = {name: _number(value) for name, value in said.items()}
    ignored = tuple(f"{name}={said[name]}" for name, number in numbers.items() if number is None)
    return next((number for number in numbers.values() if number), None), ignored


def _number(text: str) -> int | None:
    """OMP_NUM_THREADS may be a list, a number for every level of nesting. 0 asks for nothing."""
    first = text.split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() else None


def _cores(root: Path, processors: set[int]) -> int:
    """How many cores these logical processors belong to; one by itself where the system does not say."""
    return len({_siblings(root, processor) for processor in processors})


def _siblings(root: Path, processor: int) -> frozenset[int]:
    path = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
    return frozenset(_listed(_read(path)) or {processor})


def _listed(text: str) -> set[int]:
    """The kernel's way to write a set, such as ``0-3,8``; empty for what is none."""
    found = set[int]()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), int(last or first) + 1))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _quota(root: Path) -> float | None:
    """The least of the quotas of this process's control group and of those above it, in cores."""
    return min((quota for folder in _groups(root) for quota in _quotas_in(folder)), default=None)


def _quotas_in(folder: Path) -> Iterator[float]:
    second = _read(folder / "cpu.max").split()
    first = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    for quota, period in [second] if len(second) == 2 else [first]:
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):  # "max" and -1 set no limit
            yield int(quota) / int(period)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the control groups that limit processor time: of version 1 and 2, from the process's own up."""
    paths = _own_groups(root)
    for line in _read(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        mount, kind = left.split(), right.split()
        if len(mount) < 5 or len(kind) < 3 or kind[0] not in paths:
            continue
        if kind[0] == "cgroup" and "cpu" not in kind[2].split(","):
            continue
        top = root / mount[4].lstrip("/")
        inner = _below(paths[kind[0]], mount[3])
        yield from (top / folder for folder in (inner, *inner.parents))


def _own_groups(root: Path) -> dict[str, str]:
    """The process's group in each version's tree, by the type of file system that shows it."""
    paths = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _below(path: str, shown: str) -> PurePosixPath:
    """Where a group lies below the mount that shows the tree from ``shown`` on; the mount itself if nowhere in it."""
    try:
        return PurePosixPath(path).relative_to(shown)
    except ValueError:
        return PurePosixPath()
