"""Several server processes behind one socket: starts them, starts those again that end, and passes signals on."""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from ..runtime.workers.process import exit_text

LOG = logging.getLogger("ddim_edge.serving")
STEADY_S = 10.0
"""A process that ends sooner than this after its start is not replaced at once."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Seconds before another one is started then, twice as many each time."""


class ServerProcess:
    """One of the processes. It writes a byte to a pipe when it is ready, and ends when its standard input does.

    Args:
        command: the program and its arguments; it gets two more: the descriptors of the listening socket and the pipe.
        order: what it reads from its standard input.
        listener: the socket.
        environment: its environment variables.
    """

    def __init__(
        self, command: Sequence[str], order: bytes, listener: socket.socket, environment: Mapping[str, str]
    ) -> None:
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        shared = (listener.fileno(), theirs)
        self._process = subprocess.Popen(
            [*command, *map(str, shared)],
            stdin=subprocess.PIPE,
            pass_fds=shared,
            env=environment,
            process_group=0,  # Ctrl-C in the terminal reaches this process alone, which passes it on once
        )
        os.close(theirs)
        self.is_ready, self.started_at = False, time.monotonic()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            self._process.stdin.write(order)
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, negative for a signal."""
        return self._process.poll()

    @property
    def waits_for(self) -> list[int]:
        """The pipe that it will write to; none after that."""
        return [] if self._pipe < 0 else [self._pipe]

    def became_ready(self) -> bool:
        """Whether it has become ready since the last call."""
        if self._pipe < 0:
            return False
        try:
            said = os.read(self._pipe, 1)
        except BlockingIOError:
            return False
        self._close_pipe()
        self.is_ready = bool(said)
        return self.is_ready

    def send(self, number: int) -> None:
        """Send a signal; SIGTERM in place of any other before it is ready, when it handles none."""
        self._process.send_signal(number if self.is_ready else signal.SIGTERM)

    def close(self) -> None:
        """Free what an ended process held here."""
        self._close_pipe()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _close_pipe(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


class Supervisor:
    """Keeps ``count`` processes running until SIGTERM or SIGINT.

    The first one is started alone, so that what cannot be served is said once, and a model is built once.

    Args:
        start: starts a process.
        count: how many.
        on_ready: called when the first one is ready.
        on_reload: called for SIGHUP, which the processes get as well; None: SIGHUP is not handled.
    """

    def __init__(
        self,
        start: Callable[[], ServerProcess],
        count: int,
        on_ready: Callable[[], None],
        on_reload: Callable[[], None] | None,
    ) -> None:
        self._start, self._count, self._on_ready, self._on_reload = start, count, on_ready, on_reload
        self._processes: list[ServerProcess] = []
        self._received: list[int] = []
        self._reloaded_at = -1.0
        self._pause, self._not_before = 0.0, 0.0
        self._was_ready = self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Returns the exit code: 0, 1 if a process failed while stopping, or that of the first one if it cannot run."""
        with self._handlers() as woken:
            while self._processes or not self._stopping:
                self._start_missing()
                self._wait(woken)
                self._pass_on()
                for process in tuple(self._processes):
                    self._look_at(process)
        return self._code

    @contextlib.contextmanager
    def _handlers(self) -> Iterator[socket.socket]:
        """Handle signals; gives a socket that can be read when there was one, or a process has ended."""
        woken, waker = socket.socketpair()
        with woken, waker:
            for end in (woken, waker):
                end.setblocking(False)
            numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
            numbers += [] if self._on_reload is None else [signal.SIGHUP]
            before = {number: signal.signal(number, self._note) for number in numbers}
            old = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
            try:
                yield woken
            finally:
                signal.set_wakeup_fd(old)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._received.append(number)

    def _start_missing(self) -> None:
        wanted = self._count if self._was_ready else 1
        while not self._stopping and len(self._processes) < wanted and time.monotonic() >= self._not_before:
            self._processes.append(self._start())

    def _wait(self, woken: socket.socket) -> None:
        """Until a signal, the end of a process, the readiness of one, or the end of a pause."""
        left = self._not_before - time.monotonic()
        is_pausing = left > 0 and not self._stopping and len(self._processes) < self._count
        pipes = [pipe for process in self._processes for pipe in process.waits_for]
        select.select([woken.fileno(), *pipes], [], [], left if is_pausing else None)
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)

    def _pass_on(self) -> None:
        """Pass signals on to the processes."""
        while self._received:
            number = self._received.pop(0)
            if number == signal.SIGHUP:
                self._reload()
            else:
                self._stopping = True
                for process in self._processes:
                    process.send(number)

    def _reload(self) -> None:
        assert self._on_reload is not None
        self._reloaded_at = time.monotonic()
        self._on_reload()
        for process in self._processes:
            if process.is_ready:
                process.send(signal.SIGHUP)

    def _look_at(self, process: ServerProcess) -> None:
        if process.became_ready():
            if process.started_at <= self._reloaded_at:
                process.send(signal.SIGHUP)
            if not self._was_ready:
                self._was_ready = True
                self._on_ready()
        code = process.exit_code
        if code is not None:
            process.close()
            self._processes.remove(process)
            self._after(process, code)

    def _after(self, process: ServerProcess, code: int) -> None:
        """Decide what follows from the end of a process."""
        if self._stopping:
            ended_well = code == 0 or (code == -signal.SIGTERM and not process.is_ready)
            self._code = self._code if ended_well else self._code or 1
        elif not process.is_ready and not any(other.is_ready for other in self._processes):
            self._stopping, self._code = True, code if code > 0 else 1  # it has said why
            for other in self._processes:
                other.send(signal.SIGTERM)
        else:
            was_steady = time.monotonic() - process.started_at >= STEADY_S
            self._pause = 0.0 if was_steady else min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause))
            self._not_before = time.monotonic() + self._pause
            LOG.error("the server process %d %s: another one is started", process.pid, exit_text(code))
