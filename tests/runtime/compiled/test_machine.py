"""What a graph is compiled for, as the machine tells it."""

import ctypes
import platform
from pathlib import Path
from typing import Any

import pytest

from ddim_edge.errors import ProviderError
from ddim_edge.runtime.compiled import machine
from ddim_edge.runtime.compiled.machine import Machine
from ddim_edge.runtime.hardware import cpu_name, nvidia
from ddim_edge.runtime.hardware.cpu_name import cpu_with_vectors

INTEL = "processor : 0\nmodel name : Intel(R) Core(TM) i7\nflags : fpu avx avx2 sse4_1 smep fma avx512f avx512_vnni\n"
ARM = "processor : 0\nFeatures : fp asimd asimddp sve i8mm crc32\nCPU implementer : 0x41\nCPU part : 0xd42\n"


class FakeLibrary:
    """CUDA's driver with two GPUs, and TensorRT, as ctypes would show them."""

    def __init__(self, name: str) -> None:
        if "cuda" not in name and "nvinfer" not in name:
            raise OSError(f"{name}: no such file")

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def cuDeviceGet(self, handle: Any, index: int) -> int:  # noqa: N802
        handle._obj.value = 10 + index
        return 0 if index < 2 else 101

    def cuDeviceGetName(self, name: Any, _size: int, handle: ctypes.c_int) -> int:  # noqa: N802
        name.value = {10: b"NVIDIA RTX A2000", 11: b"Orin"}[handle.value]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, handle: ctypes.c_int) -> int:  # noqa: N802
        value._obj.value = {(75, 10): 8, (76, 10): 6, (75, 11): 8, (76, 11): 7}[attribute, handle.value]
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 12080
        return 0

    def getInferLibMajorVersion(self) -> int:  # noqa: N802
        return 10

    def getInferLibMinorVersion(self) -> int:  # noqa: N802
        return 9

    def getInferLibPatchVersion(self) -> int:  # noqa: N802
        return 1


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", FakeLibrary)
    monkeypatch.setattr(nvidia, "driver_version", lambda: None)
    monkeypatch.setattr(nvidia, "jetson", lambda: None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (INTEL, "Intel(R) Core(TM) i7 avx avx2 avx512_vnni avx512f fma"),
        (ARM, f"{platform.machine()} 0xd42 asimd asimddp i8mm sve"),
    ],
)
def test_a_cpu_is_its_name_and_what_its_kernels_are_chosen_by(
    text: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu_name, "_CPU_INFO", tmp_path / "cpuinfo")
    assert cpu_with_vectors() == name


def test_a_cpu_that_linux_does_not_describe_has_a_name_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_name, "_CPU_INFO", tmp_path / "none")
    assert cpu_with_vectors()


@pytest.mark.usefixtures("gpus")
def test_a_gpu_is_its_name_and_compute_capability_and_not_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Machine.of("tensorrt")
    assert (first.device, first.driver) == ("NVIDIA RTX A2000 8.6", "of CUDA 12.8")
    assert first.compiler == "TensorRT 10.9.1"
    assert [here.device for here in Machine.all_of("tensorrt")] == [first.device, "Orin 8.7"]
    monkeypatch.setattr(nvidia, "jetson", lambda: "NVIDIA Jetson AGX Orin, R36.4.3")
    assert Machine.of("tensorrt", "1").driver == "NVIDIA Jetson AGX Orin, R36.4.3"
    monkeypatch.setattr(nvidia, "driver_version", lambda: "570.86.10")
    assert Machine.of("tensorrt", "1").driver == "570.86.10"


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProviderError, match="CUDA's driver refuses cuDeviceGet with error 101"):
        Machine.of("tensorrt", "2")


def test_neither_driver_nor_tensorrt_is_an_error_with_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(ProviderError, match=r"NVIDIA's driver is not there: .*cuda.*: cannot open"):
        Machine.of("tensorrt")
    with pytest.raises(ProviderError, match=r"TensorRT is not there: .*nvinfer.*: cannot open"):
        machine.tensorrt_version()


def test_this_machine_for_the_cpu_is_the_same_twice_and_names_its_vectors() -> None:
    here = Machine.of("cpu")
    assert here == Machine.of("cpu")
    assert (here.driver, here.compiler) == (None, None)
    assert here.device
    assert list(here.differences(here)) == []
