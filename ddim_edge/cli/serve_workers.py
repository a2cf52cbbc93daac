"""``ddim-edge serve --workers``: several processes on one socket, and what each gets of the machine."""

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..errors import ConfigError
from ..runtime.hardware import cpu
from ..runtime.hardware.memory import budget_bytes
from ..serving import Settings
from ..serving.logs import log_to_stderr
from ..serving.supervisor import ServerProcess, Supervisor


def check_workers(count: int, store: str) -> None:
    """Raise ConfigError where ``count`` processes cannot serve together."""
    most = processors()
    if count > most:
        raise ConfigError(f"--workers {count}: this process may use {most} processors: give at most as many")
    if count > 1 and sys.platform == "win32":
        raise ConfigError("--workers: Windows cannot share the socket: start a process a port, behind a proxy")
    if count > 1 and store == "memory":
        raise ConfigError(
            f"--workers {count}: the processes must share a store, so that each finds every job and image: "
            "give --store sqlite:FILE or redis://HOST:PORT"
        )


def processors() -> int:
    """The logical processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve_workers(
    count: int, models: Sequence[str], settings: Settings, listener: socket.socket, on_ready: Callable[[], None]
) -> int:
    """Serve with ``count`` processes until a signal; returns the exit code. ``on_ready``: for the first one."""
    from .serve_worker import order_of

    log_to_stderr(settings.log_prompts)
    shared = with_share(settings, count)
    command = [sys.executable, "-m", f"{__package__}.serve_worker"]
    environment = environment_of(count)

    def start() -> ServerProcess:
        return ServerProcess(command, order_of(models, shared), listener, environment)

    on_reload = None if settings.api_keys is None else settings.api_keys.reload
    return Supervisor(start, count, on_ready, on_reload).run()


def with_share(settings: Settings, count: int) -> Settings:
    """The settings of one of ``count`` processes: its share of the memory that is free, unless a limit was given."""
    budget = budget_bytes()
    if settings.max_memory_bytes is not None or budget is None:
        return settings
    return replace(settings, max_memory_bytes=max(1, budget // count))


def environment_of(count: int, environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The environment of one of ``count`` processes: its share of the cores, unless a number of threads was given.

    All get the same number of threads: with another one, an image may differ by a rounding error.
    """
    machine = cpu.describe(environ=environ)
    if machine.asked is not None or machine.chosen is None:
        return environ
    return {**environ, "OMP_NUM_THREADS": str(max(1, machine.chosen // count))}
