"""What holds for every case: no hang, little memory, no writing outside the output, no other program, no network."""

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

LONGEST_S = 10
_KILLED_AFTER_S = 60
MOST_BYTES = 2 * 2**30

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod"}
_LEAVING = {"os.system", "os.exec", "os.posix_spawn", "socket.connect", "socket.getaddrinfo", "socket.bind"}


class Hung(BaseException):
    """Raised in a case that takes too long; not an Exception, so that no handler takes it for an error of its own."""


class _Watch:
    """The audit hook, which Python cannot take away again: it looks while ``allowed`` is set."""

    def __init__(self) -> None:
        self.allowed: str | None = None
        self.faults: list[str] = []
        self.installed = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.allowed is None:
            return
        if event == "os.symlink":
            self._check(event, arguments[1])
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            self._check(event, arguments[0])
        elif event in _CHANGING:
            self._check(event, arguments[0])
            if event in ("os.rename", "os.link"):
                self._check(event, arguments[1])
        elif event in _LEAVING or (event == "subprocess.Popen" and not _is_python(arguments[0])):
            self.faults.append(f"{event} {arguments[0]!r}")

    def _check(self, event: str, path: object) -> None:
        if isinstance(path, int) or self.allowed is None:
            return
        absolute = os.path.normpath(Path.cwd() / os.fsdecode(path))  # type: ignore[arg-type]
        if not absolute.startswith(self.allowed) and absolute != os.devnull:
            self.faults.append(f"{event} {absolute}")


def _is_python(executable: object) -> bool:
    return executable is not None and os.fsdecode(executable) == sys.executable  # type: ignore[arg-type]


_watch = _Watch()


@contextlib.contextmanager
def guarded(output: Path) -> Iterator[list[str]]:
    """Yields the list of what the block does that it must not: it may write below ``output`` only. Raises Hung.

    The list is complete after the block.
    """
    if not _watch.installed:
        sys.addaudithook(_watch)
        _watch.installed = True
    _watch.faults = []
    before = _restart_peak()
    with _alarm():
        _watch.allowed = str(output.resolve())
        try:
            yield _watch.faults
        finally:
            _watch.allowed = None
    if _peak() - before > MOST_BYTES:
        _watch.faults.append(f"{(_peak() - before) / 2**30:.1f} GiB of memory")


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    def hang(_number: int, _frame: FrameType | None) -> None:
        _watch.faults.append(f"no end after {LONGEST_S} s")  # whoever takes Hung for an error of their own
        raise Hung(_watch.faults[-1])

    former = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    # C code that does not return cannot be interrupted: then the process ends, and says where it was.
    faulthandler.dump_traceback_later(_KILLED_AFTER_S, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _restart_peak() -> int:
    """Start the measurement of the peak of the resident memory; returns the bytes of now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The peak of the resident memory in bytes; 0 where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
