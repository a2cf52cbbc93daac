"""Libraries of CUDA, cuDNN and TensorRT, as empty files: in packages, on the loader's path, in a toolkit."""

import shutil
from pathlib import Path

import pytest

from ddim_edge.doctor import libraries
from ddim_edge.doctor.libraries import CUDA, TENSORRT, find_libraries, missing


class Disk:
    """Files of an installation under a folder."""

    def __init__(self, root: Path) -> None:
        self.site, self.path, self.toolkit = root / "site", root / "path", root / "toolkit"

    def package(self, name: str, version: str, *files: str) -> None:
        """A pip package with its files, relative to site-packages."""
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        for file in files:
            self.file(self.site / file)

    def file(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The only place where libraries are looked for, beside Python's own packages."""
    disk = Disk(tmp_path)
    disk.site.mkdir()
    monkeypatch.setattr("sys.path", [str(disk.site)])
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{disk.path}:{tmp_path / 'nowhere'}::")
    monkeypatch.setattr(libraries, "_TOOLKITS", (f"{disk.toolkit}*/lib64",))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)  # no ldconfig
    return disk


@pytest.mark.usefixtures("disk")
def test_nothing_is_here() -> None:
    found = find_libraries("13.0")
    assert list(found) == [*CUDA, *TENSORRT]
    assert not any(library.loads or library.instead for library in found.values())
    assert missing(found) == (
        "libcudart.so.13",
        "libcublas.so.13",
        "libcublasLt.so.13",
        "libcurand.so.10",
        "libcufft.so.12",
        "libcudnn.so.9",
    )
    assert found["nvinfer"].name == "libnvinfer.so.10"


@pytest.mark.usefixtures("disk")
def test_the_names_for_cuda_12() -> None:
    names = {stem: library.name for stem, library in find_libraries("12.8").items()}
    assert (names["cublasLt"], names["cufft"], names["cudnn"]) == (
        "libcublasLt.so.12",
        "libcufft.so.11",
        "libcudnn.so.9",
    )


def test_a_package_says_its_version(disk: Disk) -> None:
    disk.package("nvidia-cublas", "13.1.0.3", "nvidia/cu13/lib/libcublas.so.13", "nvidia/cu13/lib/libcublasLt.so.13")
    disk.package("nvidia_cudnn_cu13", "9.14.0.64", "nvidia/cudnn/lib/libcudnn.so.9")
    disk.package("another", "1.0", "another/libcurand.so.10")
    found = find_libraries("13.0")
    assert (found["cublas"].version, found["cublas"].source) == ("13.1.0.3", "nvidia-cublas 13.1.0.3")
    assert found["cublas"].file == str(disk.site / "nvidia/cu13/lib/libcublas.so.13")
    assert found["cublasLt"].file == str(disk.site / "nvidia/cu13/lib/libcublasLt.so.13")
    assert found["cudnn"].version == "9.14.0.64"
    assert found["curand"].file is None


def test_a_file_says_its_version(disk: Disk) -> None:
    real = disk.file(disk.path / "libcudnn.so.9.10.2")
    (disk.path / "libcudnn.so.9").symlink_to(real)
    disk.file(disk.path / "libcudnn_graph.so.9")
    disk.file(disk.path / "libnvinfer.so.10.3.0")
    found = find_libraries("13.0")
    assert (found["cudnn"].version, found["cudnn"].source) == ("9.10.2", "the system")
    assert found["nvinfer"].version == "10.3.0"
    assert found["cudnn"].loads


def test_another_version_does_not_do(disk: Disk) -> None:
    other = disk.file(disk.path / "libcublas.so.12")
    found = find_libraries("13.0")["cublas"]
    assert (found.file, found.instead, found.loads) == (None, str(other), False)
    assert find_libraries(None)["cublas"].file == str(other)  # where no runtime asks for one, any is told
    assert find_libraries("12.8")["cublas"].file == str(other)


def test_a_toolkit_that_the_loader_does_not_look_into(disk: Disk) -> None:
    disk.file(disk.toolkit.with_name("toolkit-13.0") / "lib64" / "libcudart.so.13")
    found = find_libraries("13.0")
    assert (found["cudart"].source, found["cudart"].loads) == ("outside the loader's path", False)
    assert "libcudart.so.13" in missing(found)


def test_the_systems_own_list(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = disk.file(disk.path.with_name("lib") / "libcurand.so.10")
    program = disk.file(disk.path.with_name("ldconfig"))
    program.write_text(f"#!/bin/sh\necho '2 libs found'\necho '\tlibcurand.so.10 (libc6,AArch64) => {listed}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(program))
    assert find_libraries("13.0")["curand"].file == str(listed)


def test_the_names_on_windows(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_WINDOWS", True)
    monkeypatch.setenv("PATH", str(disk.path))
    for name in ("cublas64_13.dll", "cublasLt64_13.dll", "nvrtc64_130_0.dll", "nvinfer_10.dll", "cudnn_ops64_9.dll"):
        disk.file(disk.path / name)
    found = find_libraries("13.0")
    assert {stem for stem, library in found.items() if library.loads} == {"cublas", "cublasLt", "nvrtc", "nvinfer"}
    assert found["cudnn"].name == "cudnn64_9.dll"
