"""Nothing leaves the machine: a run opens no connection, and writes no file but its pictures."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddim_edge import telemetry
from tests.helpers.command_line import COMMAND

# It runs the command, then lists what the process still holds: ONNX Runtime's telemetry keeps its database open.
_THEN_LIST = """
import os, sys
from ddim_edge.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
for number in os.listdir("/proc/self/fd"):
    try:
        print("held", os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
"""
_WRITES = re.compile(r'(?:openat|mkdir|mkdirat|rename|renameat2?|link|linkat|creat)\(.*?"([^"]*)"')


def _environment(home: Path) -> dict[str, str]:
    """Without the variables of a test server, on which ONNX Runtime sends nothing by itself."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def _run_options(tiny_bundle: Path, output: Path) -> list[str]:
    return ["run", str(tiny_bundle), "--steps", "2", "--provider", "cpu", "--output", str(output)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_run_opens_no_socket_and_writes_only_its_picture(tiny_bundle: Path, tmp_path: Path, home: Path) -> None:
    trace, output = tmp_path / "trace", tmp_path / "out" / "a.png"
    output.parent.mkdir()
    calls = "socket,connect,sendto,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
    command = ["strace", "-f", "-s", "512", "-e", f"trace={calls}", "-o", str(trace), *COMMAND]
    command += _run_options(tiny_bundle, output)
    done = subprocess.run(command, env=_environment(home), capture_output=True, text=True, check=False, timeout=120)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("this system does not allow strace")
    assert done.returncode == 0, done.stderr
    lines = trace.read_text(encoding="utf-8").splitlines()
    assert output.is_file()
    assert [line for line in lines if re.search(r"\b(socket|connect|sendto)\(", line)] == []
    written = {_target(line) for line in lines if _is_write(line)}
    assert {path for path in written if not path.startswith((str(output.parent), "/dev/"))} == set()


def _is_write(line: str) -> bool:
    """Whether a line of the trace is a successful call that creates or changes something on the disk."""
    if " = -1 " in line or not _WRITES.search(line):
        return False
    return not re.search(r"\bopenat\(", line) or bool(re.search(r"O_WRONLY|O_RDWR|O_CREAT", line))


def _target(line: str) -> str:
    found = _WRITES.search(line)
    assert found
    return found[1]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_run_holds_no_socket_and_leaves_the_home_folder_empty(tiny_bundle: Path, tmp_path: Path, home: Path) -> None:
    command = [sys.executable, "-c", _THEN_LIST, *_run_options(tiny_bundle, tmp_path / "a.png")]
    done = subprocess.run(command, env=_environment(home), capture_output=True, text=True, check=True, timeout=120)
    held = [line.removeprefix("held ") for line in done.stdout.splitlines() if line.startswith("held ")]
    assert held
    assert [what for what in held if what.startswith(("socket:", str(home)))] == []
    assert list(home.iterdir()) == []


def test_telemetry_is_off_here_and_in_child_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", telemetry.KEEP_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    telemetry.switch_off()
    code = "import os; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


def test_telemetry_stays_on_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv(telemetry.KEEP_VARIABLE, "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    telemetry.switch_off()
    assert "ORT_DISABLE_TELEMETRY" not in os.environ
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "0"


@pytest.mark.parametrize("module", ["ddim_edge.runtime.providers.onnxruntime_module", "ddim_edge_export", "bench"])
def test_telemetry_is_off_before_the_packages_are_imported(module: str) -> None:
    code = f"""
import builtins, os, sys
real = builtins.__import__
def spy(name, *rest, **more):
    if name.split(".")[0] in ("onnxruntime", "huggingface_hub", "diffusers", "torch"):
        assert os.environ.get("ORT_DISABLE_TELEMETRY") == "1", name
    return real(name, *rest, **more)
builtins.__import__ = spy
import {module} as module
getattr(module, "runtime", lambda: None)()
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""
    env = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
