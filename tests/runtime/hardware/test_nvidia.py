"""The driver's answers, read by the real pynvml from a library that stands in for NVML."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from ddim_edge.runtime.hardware import nvidia

GIB = 1 << 30


@pytest.fixture(scope="module")
def fake_nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("fake_nvml.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def _load(monkeypatch: pytest.MonkeyPatch, library: Path | str) -> None:
    """Let pynvml load this library as NVML."""
    monkeypatch.setattr(pynvml, "CDLL", lambda _name: ctypes.CDLL(str(library)))
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    nvidia._nvml.cache_clear()


@pytest.fixture
def nvml(fake_nvml: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    _load(monkeypatch, fake_nvml)
    yield monkeypatch
    nvidia._nvml.cache_clear()


@pytest.fixture
def no_nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    _load(monkeypatch, "libno-such-driver.so.1")
    yield
    nvidia._nvml.cache_clear()


@pytest.mark.usefixtures("nvml")
def test_the_driver_and_its_gpus() -> None:
    assert (nvidia.driver_version(), nvidia.cuda_version(), nvidia.driver_fault()) == ("580.95.05", "12.8", None)
    desktop, tegra = nvidia.gpus()
    assert desktop == nvidia.Gpu(0, "NVIDIA GeForce RTX 4090", "GPU-0f3c", "8.9", 24 * GIB, 20 * GIB)
    assert tegra == nvidia.Gpu(1, "Orin (nvgpu)", None, "8.7", None, None)


def test_the_memory_of_this_process_is_the_sum_of_its_contexts(nvml: pytest.MonkeyPatch) -> None:
    nvml.setenv("FAKE_NVML_PID", str(os.getpid()))
    assert nvidia.process_memory(0) == 1000 + 24


@pytest.mark.parametrize(
    ("index", "variables"),
    [
        pytest.param(0, {"FAKE_NVML_PID": "999999999"}, id="a container with process numbers of its own"),
        pytest.param(0, {"FAKE_NVML_USED": str(2**64 - 1)}, id="a desktop of Windows"),
        pytest.param(1, {}, id="a Jetson"),
        pytest.param(2, {}, id="no such GPU"),
    ],
)
def test_the_memory_of_this_process_where_it_is_not_known(
    nvml: pytest.MonkeyPatch, index: int, variables: dict[str, str]
) -> None:
    for name, value in ({"FAKE_NVML_PID": str(os.getpid())} | variables).items():
        nvml.setenv(name, value)
    assert nvidia.process_memory(index) is None


def test_a_driver_that_does_not_answer(nvml: pytest.MonkeyPatch) -> None:
    nvml.setenv("FAKE_NVML_INIT", "18")
    assert nvidia.driver_fault() == "Driver/library version mismatch"
    assert (nvidia.driver_version(), nvidia.cuda_version(), nvidia.gpus()) == (None, None, ())
    assert nvidia.process_memory(0) is None


@pytest.mark.usefixtures("no_nvml")
def test_a_machine_without_a_driver() -> None:
    assert (nvidia.driver_version(), nvidia.cuda_version(), nvidia.driver_fault()) == (None, None, None)
    assert (nvidia.gpus(), nvidia.process_memory(0)) == ((), None)


def test_a_library_that_lacks_a_function(nvml: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler
    (tmp_path / "old.c").write_text("int nvmlInitWithFlags(unsigned int flags) { return 0; }")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "old.so", tmp_path / "old.c"], check=True)
    _load(nvml, tmp_path / "old.so")
    assert (nvidia.driver_version(), nvidia.gpus(), nvidia.driver_fault()) == (None, (), None)


@pytest.mark.parametrize(
    ("board", "release", "name", "jetpack"),
    [
        ("NVIDIA Jetson Orin Nano Developer Kit\0", None, "NVIDIA Jetson Orin Nano Developer Kit", None),
        ("NVIDIA Orin NX\0", "# R36 (release), REVISION: 4.3, GCID: 38968081", "NVIDIA Orin NX, R36.4.3", 6),
        (None, "# R39 (release), REVISION: 2.1, GCID: 1\n# more", "NVIDIA Jetson, R39.2.1", 7),
        ("Raspberry Pi 5 Model B\0", None, None, None),
        (None, None, None, None),
    ],
)
def test_a_jetson_is_known_by_its_board_or_its_release(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    board: str | None,
    release: str | None,
    name: str | None,
    jetpack: int | None,
) -> None:
    for attribute, text in (("_BOARD", board), ("_RELEASE", release)):
        monkeypatch.setattr(nvidia, attribute, tmp_path / attribute)
        if text is not None:
            (tmp_path / attribute).write_text(text)
    assert (nvidia.jetson(), nvidia.jetpack()) == (name, jetpack)


def test_gpus_on_the_bus_are_counted_without_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bus = {"gpu": ("0x10de", "0x030000"), "its sound": ("0x10de", "0x040300"), "another's": ("0x1002", "0x030000")}
    for name, (vendor, kind) in bus.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    monkeypatch.setattr(nvidia, "_PCI", tmp_path)
    assert nvidia.pci_gpus() == 1
    monkeypatch.setattr(nvidia, "_PCI", tmp_path / "nowhere")
    assert nvidia.pci_gpus() == 0
