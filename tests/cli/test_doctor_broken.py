"""``ddim-edge doctor`` where something is missing or broken."""

import json
import os
import sys
from pathlib import Path

import pytest

from ddim_edge.doctor import facts, software
from ddim_edge.runtime.hardware import nvidia
from ddim_edge.runtime.providers import onnxruntime_module as runtime
from tests.helpers.command_line import Invoke

PIP = f"{sys.executable} -m pip"


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the time to ask for one."""
    monkeypatch.setattr(facts, "run_isolated", lambda *_, **__: {"reason": None})
    monkeypatch.setattr(nvidia, "pci_gpus", lambda: 0)
    monkeypatch.setattr(nvidia, "jetson", lambda: None)


@pytest.mark.usefixtures("no_driver")
def test_without_onnxruntime(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(software, "installed_packages", dict)
    outcome = invoke("doctor")
    assert outcome.code == 2
    assert f"problem: {runtime.NOT_INSTALLED}" in outcome.out
    assert "  none runs: onnxruntime cannot be used" in outcome.out
    found = json.loads(invoke("doctor", "--json").out)
    assert set(found["providers"].values()) == {runtime.NOT_INSTALLED}
    assert found["problems"][0]["commands"] == [f"{PIP} install onnxruntime"]
    fixed = invoke("doctor", "--fix")
    assert (fixed.code, fixed.out) == (0, f"{PIP} install onnxruntime\n")


@pytest.mark.usefixtures("no_driver")
def test_a_broken_module_is_installed_again(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", type(sys)("onnxruntime"))
    monkeypatch.setattr(software, "installed_packages", lambda: {"onnxruntime-gpu": "1.31.1"})
    outcome = invoke("doctor", "--fix")
    again = f"{PIP} install --force-reinstall --no-deps onnxruntime-gpu==1.31.1"
    assert (outcome.code, outcome.out.splitlines()) == (0, [again, f"{PIP} install onnxruntime-gpu"])
    assert invoke("doctor").code == 2


@pytest.mark.usefixtures("no_driver")
def test_without_a_bundled_model(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "bundled_names", list)
    outcome = invoke("doctor")
    assert outcome.code == 0
    assert "models: none" in outcome.out


def test_a_second_package_beside_the_real_one(in_process: Invoke, tmp_path: Path) -> None:
    _write_package(tmp_path / "site")
    outcome = in_process("doctor", "--fix", PYTHONPATH=_path_with(tmp_path / "site"))
    assert outcome.code == 0
    uninstall, install = outcome.out.splitlines()
    assert sorted(uninstall.removeprefix(f"{PIP} uninstall --yes ").split()) == ["onnxruntime", "onnxruntime-gpu"]
    assert install.startswith(f"{PIP} install ")
    assert "onnxruntime" in install
    assert "overwrite each other" in outcome.err


def test_a_provider_that_crashes_is_told_of_as_such(in_process: Invoke, tmp_path: Path) -> None:
    _write_package(tmp_path / "site", CRASHING_MODULE)
    outcome = in_process("doctor", "--json", PYTHONPATH=_path_with(tmp_path / "site"))
    found = json.loads(outcome.out)
    assert found["providers"]["cuda"] == "crashed (SIGABRT): a last word of CUDA's"
    assert "cannot be loaded: not this one" in found["providers"]["cpu"]
    assert outcome.code == 2
    assert found["cuda_build"] == "13.0"


CRASHING_MODULE = """
import os, sys
cuda_version, __version__ = "13.0", "1.31.1"
set_default_logger_severity = id

def get_available_providers():
    return ["CUDAExecutionProvider", "CPUExecutionProvider"]

class SessionOptions:
    def __getattr__(self, name):
        return lambda *arguments: None

class InferenceSession:
    def __init__(self, path, options, providers, enable_fallback):
        if "CUDA" in str(providers):
            print("a last word of CUDA's", file=sys.stderr, flush=True)
            os.abort()
        raise RuntimeError("not this one")
"""


def _write_package(site: Path, module: str | None = None) -> None:
    """What pip knows of onnxruntime-gpu, with a module that takes the place of the real one, or without."""
    info = site / "onnxruntime_gpu-1.31.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n")
    (info / "top_level.txt").write_text("onnxruntime\n")
    if module is not None:
        (site / "onnxruntime").mkdir()
        (site / "onnxruntime" / "__init__.py").write_text(module)


def _path_with(site: Path) -> str:
    return os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
