"""Reads which processors this process may use, and chooses how many threads a graph gets on the CPU.

By default ONNX Runtime starts a thread for every physical core of the machine, also for cores that are off, and pins
each thread to its core. It ignores the affinity mask (its threads leave that of ``taskset``, and cannot be pinned in a
container), a container's quota, and OMP_NUM_THREADS. Where one of these allows less than the machine has, the number of
threads is set here; ONNX Runtime then pins none.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_DIGITS = 18  # Python converts no number of thousands of digits
_VARIABLES = ("ORT_INTRA_OP_NUM_THREADS", "OMP_NUM_THREADS")
"""The first one, which newer versions of ONNX Runtime read themselves, takes precedence."""


@dataclass(frozen=True)
class Cpu:
    """The machine's cores, which of them this process may use, and the threads chosen from that.

    Attributes:
        cores: the machine's physical cores; None where the system does not report them.
        allowed: those that are on and that this process may run on; None where the system does not report them.
        quota: processor time that the control group allows, in cores; None where it sets no limit.
        asked: the number of threads in an environment variable; None where none is set.
        ignored: such environment variables, ``NAME=value``, whose value is not a number of threads. (OpenMP ignores
            them, too.)
        masked: whether the machine has processors that are off, or that this process may not run on.
    """

    cores: int | None
    allowed: int | None
    quota: float | None = None
    asked: int | None = None
    ignored: tuple[str, ...] = ()
    masked: bool = False
    processors: int | None = None
    """The machine's logical processors: no graph gets more threads, whatever is asked for."""

    @property
    def is_limited(self) -> bool:
        """Whether more threads are asked for than there are processors."""
        return self.asked is not None and self.processors is not None and self.asked > self.processors

    @property
    def chosen(self) -> int | None:
        """The number of threads for a graph, at least 1; None where nothing is known."""
        if self.is_limited:
            return self.processors
        if self.asked is not None or self.allowed is None:
            return self.asked
        return max(1, min(self.allowed, self.allowed if self.quota is None else int(self.quota + 0.5)))

    @property
    def threads(self) -> int:
        """The value for ONNX Runtime's ``intra_op_num_threads``: 0 where its default, with pinned threads, is right."""
        unusual = self.masked or self.ignored or self.is_limited
        if self.chosen is None or (self.chosen == self.cores and not unusual):
            return 0
        return self.chosen  # also with a bad value of ONNX Runtime's own variable: it would fail, or start them all

    @property
    def is_metered(self) -> bool:
        """Whether a quota is below the cores, so that spinning threads take time from working ones."""
        return self.quota is not None and self.allowed is not None and self.quota < self.allowed

    def __str__(self) -> str:
        facts = [f"{_counted(self.cores, 'physical core')}"] if self.cores is not None else []
        facts += [f"{self.allowed} of them allowed"] if self.masked else []
        facts += [f"a quota of {self.quota:g}"] if self.quota is not None else []
        facts += [f"{self.asked} asked for by the environment"] if self.asked is not None else []
        facts += [f"at most {self.processors}, one for each processor"] if self.is_limited else []
        facts += [f"{variable} is no number of threads and is ignored" for variable in self.ignored]
        threads = "as many threads as ONNX Runtime takes" if self.threads == 0 else _counted(self.threads, "thread")
        return f"{threads} a graph ({', '.join(facts) or 'the system does not report its cores'})"


def threads() -> int:
    """The number of threads for a graph, for ``intra_op_num_threads``; 0 is ONNX Runtime's default."""
    return describe().threads


def describe(root: Path = _ROOT, environ: Mapping[str, str] = os.environ, mask: set[int] | None = None) -> Cpu:
    """Read what this process may use.

    ``root``: the folder with /proc and /sys. ``mask``: the processors to use in place of the process's affinity mask.
    """
    asked, ignored = _asked(environ)
    mask = _mask() if mask is None else mask
    if mask is None:
        return Cpu(None, None, None, asked, ignored, processors=os.cpu_count())
    present = _listed(_read(root / "sys/devices/system/cpu/present")) or mask
    return Cpu(
        cores=_cores(root, present),
        allowed=_cores(root, mask),
        quota=_quota(root),
        asked=asked,
        ignored=ignored,
        masked=not present <= mask,
        processors=len(present),
    )


def _counted(number: int | None, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _mask() -> set[int] | None:
    # Only Linux has it. Elsewhere ONNX Runtime asks the system itself, and there are no control groups.
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def _asked(environ: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    """The number in the first variable that has a valid one, and the variables with invalid values."""
    given = {name: environ[name] for name in _VARIABLES if environ.get(name, "").strip()}
    numbers = {name: _number(value) for name, value in given.items()}
    ignored = tuple(f"{name}={given[name]}" for name, number in numbers.items() if number is None)
    return next((number for number in numbers.values() if number), None), ignored


def _number(text: str) -> int | None:
    """The number of threads, 0 for not set; None for invalid text. OMP_NUM_THREADS may be a list, by nesting level."""
    first = text.split(",")[0].strip()
    return int(first[:_DIGITS]) if first.isascii() and first.isdigit() else None


def _cores(root: Path, processors: set[int]) -> int:
    """The number of cores of these logical processors; each is a core where the system does not report siblings."""
    return len({_siblings(root, processor) for processor in processors})


def _siblings(root: Path, processor: int) -> frozenset[int]:
    path = root / f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
    return frozenset(_listed(_read(path)) or {processor})


def _listed(text: str) -> set[int]:
    """Read the kernel's notation of a set, such as ``0-3,8``; empty for invalid text."""
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
    """The smallest quota of this process's control group and its parents, in cores."""
    return min((quota for folder in _groups(root) for quota in _quotas_in(folder)), default=None)


def _quotas_in(folder: Path) -> Iterator[float]:
    second = _read(folder / "cpu.max").split()
    first = [_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    for quota, period in [second] if len(second) == 2 else [first]:
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):  # "max" and -1 set no limit
            yield int(quota) / int(period)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the control groups (version 1 and 2) that limit processor time, from the process's own upwards."""
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
    """The process's control group in each version's hierarchy, by the type of the file system that shows it."""
    paths = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _below(path: str, shown: str) -> PurePosixPath:
    """The path of a group relative to a mount that shows the hierarchy from ``shown`` on; "." if it is outside."""
    try:
        return PurePosixPath(path).relative_to(shown)
    except ValueError:
        return PurePosixPath()
