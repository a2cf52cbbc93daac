"""Finds the libraries of CUDA, cuDNN and TensorRT that ONNX Runtime needs: files and versions."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_WINDOWS = sys.platform == "win32"
_SYSTEM, _UNREACHED = "the system", "outside the loader's path"
_TOOLKITS = ("/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib")
_OPTIONAL = "nvrtc"
CUDA = ("cudart", "cublas", "cublasLt", "curand", "cufft", "nvrtc", "cudnn")
TENSORRT = ("nvinfer", "nvonnxparser", "nvinfer_plugin")


@dataclass(frozen=True)
class Library:
    """One shared library.

    Attributes:
        name: the name that the loader looks for, such as "libcudnn.so.9"; without a version where any will do.
        file: its file; None where there is none of the right version.
        version: from its package or its file's name, where these have it.
        source: the package that contains it, "the system", or "outside the loader's path", where it is not found.
        instead: a file of another version, where there is one.
    """

    name: str
    file: str | None = None
    version: str | None = None
    source: str | None = None
    instead: str | None = None

    @property
    def loads(self) -> bool:
        """Whether the system's loader or ONNX Runtime finds it."""
        return self.file is not None and self.source != _UNREACHED


@dataclass(frozen=True)
class _Found:
    file: Path
    source: str
    version: str | None = None


def find_libraries(cuda_build: str | None) -> dict[str, Library]:
    """Look for each of ``CUDA`` and ``TENSORRT``, in the versions that a runtime built for that CUDA needs.

    ``cuda_build``: such as "13.0"; None where the runtime has no CUDA: then any version is reported.
    """
    files = [*_in_packages(), *_on_the_path(), *_in_toolkits()]
    wanted = _wanted(cuda_build)
    return {stem: _choose(stem, wanted.get(stem), files) for stem in (*CUDA, *TENSORRT)}


def missing(libraries: Mapping[str, Library]) -> tuple[str, ...]:
    """The names of the CUDA libraries that are needed and that the loader does not find."""
    return tuple(libraries[stem].name for stem in CUDA if stem != _OPTIONAL and not libraries[stem].loads)


def _wanted(cuda_build: str | None) -> dict[str, str]:
    """The major version of each library that ONNX Runtime for CUDA 12 or 13 needs."""
    if cuda_build is None:
        return {}
    major = cuda_build.split(".")[0]
    own = {"curand": "10", "cufft": "11" if major == "12" else "12", "cudnn": "9", **dict.fromkeys(TENSORRT, "10")}
    return dict.fromkeys(CUDA, major) | own


def _choose(stem: str, version: str | None, files: list[_Found]) -> Library:
    name = _name(stem, version)
    found = [(entry, number) for entry in files if (number := _version_of(stem, entry.file)) is not None]
    for entry, number in found:
        if version is None or number.split(".")[0] in (version, f"{version}0"):  # as in nvrtc64_130_0.dll
            return Library(name, str(entry.file), entry.version or _full_version(stem, entry.file), entry.source)
    return Library(name, instead=str(found[0][0].file) if found else None)


def _name(stem: str, version: str | None) -> str:
    if _WINDOWS:
        return f"{stem}64_{version or '*'}.dll"
    return f"lib{stem}.so" + (f".{version}" if version else "")


def _version_of(stem: str, file: Path) -> str | None:
    """The version in the file's name, "13" or "13.0.96"; None for another library, or a name without a version."""
    pattern = rf"{stem}(?:64)?_(\d+)\w*\.dll" if _WINDOWS else rf"lib{stem}\.so\.([\d.]+)"
    found = re.fullmatch(pattern, file.name, re.IGNORECASE if _WINDOWS else 0)
    return found[1] if found else None


def _full_version(stem: str, file: Path) -> str | None:
    return _version_of(stem, file.resolve()) or _version_of(stem, file)


def _in_packages() -> Iterator[_Found]:
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if not name.lower().replace("_", "-").startswith(("nvidia-", "tensorrt")):
            continue
        for file in distribution.files or []:
            if ".so" in file.name or file.suffix == ".dll":
                yield _Found(Path(str(file.locate())), f"{name} {distribution.version}", distribution.version)


def _on_the_path() -> Iterator[_Found]:
    """The files that the system's loader sees: in the variable's folders first, then in its cache."""
    variable = "PATH" if _WINDOWS else "LD_LIBRARY_PATH"
    for folder in filter(None, os.environ.get(variable, "").split(os.pathsep)):
        yield from _in_folder(Path(folder), _SYSTEM)
    program = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    if program and not _WINDOWS:
        listed = subprocess.run([program, "-p"], capture_output=True, text=True, check=False, timeout=30).stdout
        yield from (_Found(Path(line.split(" => ")[1]), _SYSTEM) for line in listed.splitlines() if " => " in line)


def _in_toolkits() -> Iterator[_Found]:
    for pattern in _TOOLKITS:
        for folder in sorted(Path("/").glob(pattern[1:])):
            yield from _in_folder(folder, _UNREACHED)


def _in_folder(folder: Path, source: str) -> Iterator[_Found]:
    if folder.is_dir():
        yield from (_Found(file, source) for file in sorted(folder.iterdir()))
