"""The Ray cluster that a run uses: whether it is there, a connection to it, and how many workers it holds."""

import contextlib
import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import ConfigError, shown
from ..extras import install_command

_AUTO, _LOCAL = "auto", "local"
_CONNECT_S = 5.0
_STORE_BYTES = 128 * 2**20
"""The shared memory of a cluster of one run: images do not go through it."""
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""The client's first bytes: RFC 9113's preface and a frame of settings, which is empty."""
_SETTINGS = b"\4"
"""The type of the server's first frame, after three bytes of its length."""


def prepare() -> None:
    """Turn off Ray's usage statistics, unless the environment turns them on. ConfigError where Ray is missing."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(f"Ray is not installed: {install_command('ray')}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def check_ray(address: str) -> None:
    """Raise ConfigError where Ray is missing, or nothing listens at ``address``. Does not import Ray.

    ``address``: ``auto``, ``local``, or the HOST:PORT of a cluster.
    """
    prepare()
    address = os.environ.get("RAY_ADDRESS") or address if address == _AUTO else address
    if address not in (_AUTO, _LOCAL):
        _check_listens(address)


def _check_listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(
            f"{shown(address)} is no address of a Ray cluster: give auto, local, or HOST:PORT as `ray start` prints it "
            "on a machine of the cluster"
        )
    try:
        _check_answers(host.strip("[]"), int(port))
    except OSError as error:
        raise ConfigError(
            f"no Ray cluster at {shown(address)} ({error.strerror or error}): start it with `ray start --head`, or "
            "give local"
        ) from None


def _check_answers(host: str, port: int) -> None:
    """Raise OSError where no server of HTTP/2 answers, on which gRPC builds. Ray itself waits minutes for it."""
    with socket.create_connection((host, port), timeout=_CONNECT_S) as connection:
        connection.settimeout(_CONNECT_S)
        connection.sendall(_HTTP2_GREETING)
        if connection.recv(4)[3:] != _SETTINGS:
            raise OSError("another kind of server answers")


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a cluster for the time of a run, which shows its own progress and errors.

    ``auto``: the cluster that runs on this machine; ``local``: one that is started for the run and ends with it.
    """
    check_ray(address)
    import ray

    _quieten()
    store = _STORE_BYTES if address == _LOCAL else None
    try:
        ray.init(
            address=address,
            include_dashboard=False,
            object_store_memory=store,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:  # Ray raises many kinds, also bare ones
        raise ConfigError(
            f"cannot use the Ray cluster {shown(address)}: {_first_line(error)}. One with token authentication needs "
            "RAY_AUTH_MODE=token"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _quieten() -> None:
    """No bars and messages of Ray Data itself."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def num_workers(nodes: Sequence[Mapping[str, Any]], cpus: int, gpus: int) -> int:
    """How many workers of ``cpus`` processors and ``gpus`` GPUs fit on the living nodes; ConfigError for none."""
    living = [node["Resources"] for node in nodes if node["Alive"]]
    number = sum(_fitting(resources, cpus, gpus) for resources in living)
    if not number:
        most = max((int(resources.get("CPU", 0)) for resources in living), default=0)
        wanted = f"{cpus} CPUs" + (f" and {gpus} GPU" if gpus else "")
        raise ConfigError(
            f"no machine of the Ray cluster has {wanted} for a worker (the largest has {most} CPUs): set "
            "OMP_NUM_THREADS to fewer threads"
        )
    return number


def _fitting(resources: Mapping[str, float], cpus: int, gpus: int) -> int:
    by_cpu = int(resources.get("CPU", 0)) // cpus
    return min(by_cpu, int(resources.get("GPU", 0)) // gpus) if gpus else by_cpu


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
