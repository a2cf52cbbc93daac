"""Imports the module ``onnxruntime``, here and nowhere else, and finds out how it was installed."""

import contextlib
import ctypes
import functools
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from ... import telemetry
from ...errors import ProviderError

NOT_INSTALLED = (
    "ONNX Runtime is not installed: pip install onnxruntime, or, for an NVIDIA GPU, pip install "
    "'onnxruntime-gpu[cuda,cudnn]'"
)


def runtime() -> ModuleType:
    """The module ``onnxruntime``. Raises ProviderError where it is not installed, or broken."""
    telemetry.switch_off()
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name == "onnxruntime":
            raise ProviderError(NOT_INSTALLED) from None
        raise ProviderError(f"ONNX Runtime is broken: {error}. Reinstall it") from None
    except ImportError as error:
        raise ProviderError(f"ONNX Runtime is broken: {error}. Reinstall it") from None
    module: ModuleType = onnxruntime
    if not hasattr(module, "InferenceSession"):
        # Two packages share this module, and one was uninstalled: its files are missing.
        raise ProviderError("ONNX Runtime is broken: pip install --force-reinstall onnxruntime (or onnxruntime-gpu)")
    return module


@functools.cache  # searches all installed packages, which can take most of a second
def installed_packages() -> Mapping[str, str]:
    """The installed packages that contain the module ``onnxruntime``, with versions; two overwrite each other."""
    import importlib.metadata  # here, because importing it takes longer than most of this package

    found = {}
    for distribution in importlib.metadata.packages_distributions().get("onnxruntime", []):
        found[distribution] = importlib.metadata.version(distribution)
    return found


def silence_logging() -> None:
    """Stop ONNX Runtime from printing errors to stdout and stderr: they are raised."""
    runtime().set_default_logger_severity(4)


def load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from the nvidia-* pip packages, where they are installed."""
    if hasattr(runtime(), "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            runtime().preload_dlls()


def why_not_loaded(library: str | None) -> str:
    """Why a provider of the installed package did not load, as the system's loader reports it.

    ``library``: the name of the provider's shared library, without prefix and suffix; None where it has none.
    """
    if library is None:
        return "ONNX Runtime gave no reason"
    return library_fault(library) or "its library loads, but it finds no usable device"


def library_fault(library: str) -> str | None:
    """Why the shared library of a provider cannot be loaded; None where it can."""
    folder = Path(str(runtime().__file__)).parent / "capi"
    pattern = f"{library}.dll" if sys.platform == "win32" else f"lib{library}.*"
    libraries = sorted(folder.glob(pattern))
    if not libraries:
        return f"{folder} holds no {pattern}"
    try:
        _load_with_host(folder, libraries[0])
    except OSError as error:
        return str(error)
    return None


def _load_with_host(folder: Path, library: Path) -> None:
    # A provider's library needs the symbols of this one; ONNX Runtime loads it first, too.
    for shared in folder.glob("*onnxruntime_providers_shared.*"):
        ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(library))
