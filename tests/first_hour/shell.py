"""A shell as somebody at a terminal has it: each command finds the folder and the variables that the last one left."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tests.helpers.documents import ROOT

PORT = 8000
"""Where ``ddim-edge serve`` listens."""
_STARTS_WITHIN_S = 120
_TYPED = '{ %s\n}; code=$?; pwd > "$STATE/folder"; env -0 > "$STATE/variables"; exit $code'


def stranger(work: Path) -> dict[str, str]:
    """The environment of somebody new: a home folder below ``work``, and no trace of this repository or of Python's."""
    home = work / "home"
    home.mkdir()
    ours = ("DDIM_EDGE_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = [folder for folder in os.environ["PATH"].split(":") if not folder.startswith(str(ROOT))]
    index = Path.home() / ".config" / "pip" / "pip.conf"  # a machine's package index is not the stranger's to find
    pip = {"PIP_CONFIG_FILE": str(index)} if index.exists() else {}
    pyenv = {"PYENV_ROOT": str(Path.home() / ".pyenv")} if (Path.home() / ".pyenv").exists() else {}
    return {**pip, **pyenv, **kept, "PATH": ":".join(path), "HOME": str(home), "STATE": str(work)}


class Shell:
    """Types one command after another; ``ddim-edge serve`` goes on while the next ones are typed."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._work = folder
        self._variables = dict(variables)
        self._servers: list[subprocess.Popen[bytes]] = []
        self._port = _free_port()

    def type(self, line: str) -> tuple[int, str]:
        """The exit code of a command, and what it printed."""
        if line.startswith("ddim-edge serve"):
            return self._serve(line)
        return self.run(line.replace(f"localhost:{PORT}", f"localhost:{self._port}"))

    def run(self, line: str) -> tuple[int, str]:
        """As ``type``, for any command that ends."""
        done = subprocess.run(
            ["bash", "-c", _TYPED % line],
            cwd=self.folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        variables = (self._work / "variables").read_text().strip("\0").split("\0")
        self._variables = dict(variable.split("=", 1) for variable in variables)
        self.folder = Path((self._work / "folder").read_text().strip())
        return done.returncode, done.stdout

    def _serve(self, line: str) -> tuple[int, str]:
        variables = (
            self._variables if self._port == PORT else {**self._variables, "DDIM_EDGE_SERVE_PORT": str(self._port)}
        )
        log = self._work / "server.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.folder, env=variables, stdout=output, stderr=output
            )
        self._servers.append(server)
        end = time.monotonic() + _STARTS_WITHIN_S
        while server.poll() is None and time.monotonic() < end:
            if _is_ready(self._port):
                return 0, ""
            time.sleep(0.1)
        return server.poll() or 1, log.read_text()

    def close(self) -> None:
        """Press Ctrl-C in the servers."""
        for server in self._servers:
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
                server.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    """The server's usual port, or another where a program of this machine has it."""
    with closing(socket.socket()) as usual:
        if usual.connect_ex(("127.0.0.1", PORT)):
            return PORT
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        port: int = other.getsockname()[1]
        print(f"      port {PORT} is taken on this machine: {port} stands for it", flush=True)
        return port
