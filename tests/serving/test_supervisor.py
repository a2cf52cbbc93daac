"""Several processes behind one socket, with small programs in their place: who is started, replaced and told what."""

import os
import signal
import socket
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ddim_edge.serving import supervisor as supervisor_module
from ddim_edge.serving.supervisor import ServerProcess, Supervisor
from tests.serving.live import wait_until

PROGRAM = """
    import os, pathlib, signal, sys, time
    folder = pathlib.Path(sys.argv[1])
    def note(what):
        with open(folder / "log", "a") as log:
            log.write(f"{what} {os.getpid()}\\n")
    signal.signal(signal.SIGTERM, lambda *_: (note("term"), sys.exit(0)))
    signal.signal(signal.SIGINT, lambda *_: note("int"))
    signal.signal(signal.SIGHUP, lambda *_: note("hup"))
    note(sys.stdin.readline().strip())
    if (folder / "broken").exists():
        sys.exit(7)
    while (folder / "slow").exists():
        time.sleep(0.01)
    os.write(int(sys.argv[-1]), b"1")
    while sys.stdin.read(1):
        pass
    note("orphan")
"""


class Running:
    """A supervisor of such programs, and what they have written."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.folder, self.ready, self.reloads = folder, 0, 0
        command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self.supervisor = Supervisor(
            lambda: ServerProcess(command, b"begun\n", listener, environment), 2, self._on_ready, self._on_reload
        )

    def _on_ready(self) -> None:
        self.ready += 1

    def _on_reload(self) -> None:
        self.reloads += 1

    def lines(self, what: str) -> list[int]:
        """The processes that have written ``what``."""
        file = self.folder / "log"
        written = file.read_text().splitlines() if file.exists() else []
        return [int(line.split()[1]) for line in written if line.split()[0] == what]

    def ready_processes(self) -> list[ServerProcess]:
        return [each for each in self.supervisor._processes if each.is_ready]

    def run(self, story: Callable[[], None] = lambda: None) -> int:
        """Run until the end; ``story`` is called in another thread."""
        failures: list[BaseException] = []

        def tell() -> None:
            try:
                story()
            except BaseException as error:
                failures.append(error)
                os.kill(os.getpid(), signal.SIGTERM)

        teller = threading.Thread(target=tell)
        teller.start()
        code = self.supervisor.run()
        teller.join()
        if failures:
            raise failures[0]
        return code


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(supervisor_module, "STEADY_S", 0.0)
    with socket.socket() as listener:
        running = Running(tmp_path, listener)
        yield running
        assert not running.supervisor._processes


def to_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def test_sigterm_ends_all(running: Running) -> None:
    def ask() -> None:
        wait_until(lambda: len(running.ready_processes()) == 2)
        to_itself(signal.SIGTERM)

    code = running.run(ask)
    assert (code, running.ready) == (0, 1)
    assert sorted(running.lines("term")) == sorted(running.lines("begun"))
    assert not running.lines("int")


def test_ctrl_c_is_passed_on_once_each_time(running: Running) -> None:
    def wrote(what: str, count: int) -> bool:
        return len(running.lines(what)) == count

    def ask() -> None:
        wait_until(lambda: len(running.ready_processes()) == 2)
        for count in (1, 2):
            to_itself(signal.SIGINT)
            wait_until(partial(wrote, "int", 2 * count))
        to_itself(signal.SIGTERM)

    assert running.run(ask) == 0


def test_one_that_is_killed_is_replaced(running: Running) -> None:
    def ask() -> None:
        wait_until(lambda: len(running.ready_processes()) == 2)
        killed = running.ready_processes()[0].pid
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(running.lines("begun")) == 3 and len(running.ready_processes()) == 2)
        assert killed not in [each.pid for each in running.ready_processes()]
        to_itself(signal.SIGTERM)

    assert running.run(ask) == 0
    assert running.ready == 1


def test_sighup_reaches_all_and_the_one_that_is_starting(running: Running) -> None:
    def ask() -> None:
        wait_until(lambda: len(running.ready_processes()) == 2)
        (running.folder / "slow").touch()
        os.kill(running.ready_processes()[0].pid, signal.SIGKILL)
        wait_until(lambda: len(running.lines("begun")) == 3)
        to_itself(signal.SIGHUP)
        wait_until(lambda: len(running.lines("hup")) == 1)
        (running.folder / "slow").unlink()
        wait_until(lambda: len(running.lines("hup")) == 2)
        assert set(running.lines("hup")) == {each.pid for each in running.ready_processes()}
        to_itself(signal.SIGTERM)

    assert running.run(ask) == 0
    assert running.reloads == 1


def test_the_first_that_cannot_start_ends_it_with_its_exit_code(running: Running) -> None:
    (running.folder / "broken").touch()
    assert running.run() == 7
    assert (running.ready, len(running.lines("begun"))) == (0, 1)


def test_replacements_that_cannot_start_are_tried_more_and_more_rarely(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STEADY_S", 1000.0)
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.01)

    def ask() -> None:
        wait_until(lambda: len(running.ready_processes()) == 2)
        (running.folder / "broken").touch()
        os.kill(running.ready_processes()[0].pid, signal.SIGKILL)
        wait_until(lambda: len(running.lines("begun")) == 4)
        assert running.supervisor._pause >= 0.02
        os.kill(running.ready_processes()[0].pid, signal.SIGKILL)  # now none is left that works

    assert running.run(ask) == 7


def test_processes_notice_that_it_was_killed(tmp_path: Path) -> None:
    with socket.socket() as listener:
        running = Running(tmp_path, listener)
        process = running.supervisor._start()
        wait_until(process.became_ready)
        process.close()  # as the system does
        wait_until(lambda: running.lines("orphan") == [process.pid] and process.exit_code == 0)
