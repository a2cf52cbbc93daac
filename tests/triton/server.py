"""A real Triton Inference Server, of the package nvidia-pytriton, and a client of it.

Its environment has other packages than the other tests: ``make test-triton`` makes it and names its interpreter in
``DDIM_EDGE_TRITON_PYTHON``.
"""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tritonclient.grpc import InferenceServerClient, InferResult
from tritonclient.utils import InferenceServerException

PYTHON = os.environ.get("DDIM_EDGE_TRITON_PYTHON")
DEADLINE_S = 120.0
_WHERE = (
    "import sys, sysconfig as s; print(s.get_path('purelib'), s.get_config_var('LIBDIR'), "
    "'%d.%d' % sys.version_info[:2], sep='\\n')"
)


class Server(NamedTuple):
    """A server that runs: the address of its gRPC interface, the port of HTTP, its process and its log."""

    grpc: str
    http_port: int
    pid: int
    log: Path

    def cpu_ticks(self) -> int:
        """The processor time so far of the processes that run the models."""
        folder = Path("/proc", str(self.pid), "task")
        children = " ".join(path.read_text() for path in folder.glob("*/children")).split()
        stats = [Path("/proc", child, "stat").read_text().rpartition(")")[2].split() for child in children]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats)


@contextlib.contextmanager
def triton_server(repository: Path, work: Path, *options: str) -> Iterator[Server]:
    """Serve ``repository``; ``work`` is a folder for its files."""
    packages, libraries, version = _interpreter()
    shutil.copytree(
        packages / "pytriton" / "tritonserver" / "backends", work / "backends", ignore=lambda *_: ["__pycache__"]
    )
    stub = packages / "pytriton" / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, work / "backends" / "python")
    (work / "backends" / "python" / stub.name).chmod(0o755)
    http, grpc, metrics = _free_ports(3)
    command = [
        str(packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        *("--model-repository", str(repository), "--backend-directory", str(work / "backends")),
        *("--http-port", str(http), "--grpc-port", str(grpc), "--metrics-port", str(metrics), *options),
        *(f"--{kind}-address=127.0.0.1" for kind in ("http", "grpc", "metrics")),
    ]
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment(packages, libraries))
    server = Server(f"127.0.0.1:{grpc}", http, process.pid, work / "log")
    try:
        _wait_until_ready(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interpreter() -> tuple[Path, str, str]:
    """The folder of its packages, that of libpython, and its version."""
    done = subprocess.run([str(PYTHON), "-c", _WHERE], capture_output=True, text=True, check=True)
    packages, libraries, version = done.stdout.split("\n")[:3]
    return Path(packages), libraries, version


def _environment(packages: Path, libraries: str) -> dict[str, str]:
    """The backend looks for ``python3`` on PATH, and must load the libpython of that very version."""
    path = f"{Path(str(PYTHON)).parent}{os.pathsep}{os.environ['PATH']}"
    found = os.pathsep.join([libraries, str(packages / "nvidia_pytriton.libs")])
    return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": found}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(server: Server, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + DEADLINE_S
    with InferenceServerClient(server.grpc) as client:
        while time.monotonic() < end:
            assert process.poll() is None, server.log.read_text(errors="replace")
            with contextlib.suppress(InferenceServerException):
                if client.is_server_ready():
                    return
            time.sleep(0.1)
    raise AssertionError(server.log.read_text(errors="replace"))


class Stream:
    """One gRPC stream. Responses of several requests come in one queue."""

    def __init__(self, server: Server) -> None:
        self._client = InferenceServerClient(server.grpc)
        self._events: queue.Queue[tuple[InferResult | None, InferenceServerException | None]] = queue.Queue()
        self._client.start_stream(lambda result, error: self._events.put((result, error)))

    def ask(self, model: str, name: str = "", **parameters: Any) -> None:
        """Send a request; ``name`` comes back with its responses."""
        self._client.async_stream_infer(
            model, [], request_id=name, enable_empty_final_response=True, parameters=parameters
        )

    def next(self) -> Any:
        """The next response. Raises InferenceServerException for an error."""
        result, error = self._events.get(timeout=DEADLINE_S)
        if error is not None:
            raise error
        return result

    def responses(self) -> Iterator[Any]:
        """The responses with images, up to the last one of the only request."""
        while not is_last(response := self.next()):
            yield response

    def close(self, *, cancel: bool = False) -> None:
        """End the stream, and cancel its requests if asked to."""
        self._client.stop_stream(cancel_requests=cancel)
        self._client.close()


def is_last(response: Any) -> bool:
    """Whether it is the empty response after all images of a request."""
    return bool(response.get_response().parameters["triton_final_response"].bool_param)
