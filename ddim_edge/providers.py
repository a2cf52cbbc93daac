"""Which execution providers there are, whether they load, and why not.

ONNX Runtime only warns when a provider cannot load, and goes on without it. Here a provider that was named either runs
or raises ProviderError with the reason and the remedy.
"""

import contextlib
import ctypes
import importlib.metadata
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from .errors import ProviderError, choose_from

NOT_INSTALLED = (
    "ONNX Runtime is not installed: pip install 'ddim-edge[cpu]', or, for an NVIDIA GPU, pip install 'ddim-edge[gpu]'"
)


@dataclass(frozen=True)
class Provider:
    """One way to run a graph: our name, ONNX Runtime's name, and the package that brings it."""

    name: str
    ort_name: str
    remedy: str
    library: str | None = None
    """The shared library that holds it, where that is a file of its own."""
    static_shapes: bool = False
    """Whether it compiles the graph anew for every shape, so that few shapes should come up."""


_CUDA_REMEDY = (
    "pip install 'onnxruntime-gpu[cuda,cudnn]' (after pip uninstall onnxruntime), on a machine with an NVIDIA GPU"
)

PROVIDERS = (
    Provider("cuda", "CUDAExecutionProvider", _CUDA_REMEDY, "onnxruntime_providers_cuda"),
    Provider(
        "tensorrt",
        "TensorrtExecutionProvider",
        "install TensorRT 10 and onnxruntime-gpu (after pip uninstall onnxruntime)",
        "onnxruntime_providers_tensorrt",
        static_shapes=True,
    ),
    Provider("migraphx", "MIGraphXExecutionProvider", "install AMD's onnxruntime-migraphx", static_shapes=True),
    Provider(
        "openvino", "OpenVINOExecutionProvider", "pip install onnxruntime-openvino", "onnxruntime_providers_openvino"
    ),
    Provider("coreml", "CoreMLExecutionProvider", "pip install onnxruntime, on macOS", static_shapes=True),
    Provider("directml", "DmlExecutionProvider", "pip install onnxruntime-directml, on Windows"),
    Provider("cpu", "CPUExecutionProvider", "pip install 'ddim-edge[cpu]'"),
)
NAMES = ("auto", *(provider.name for provider in PROVIDERS))

# What `auto` tries, best first. The others trade start-up time or precision for speed and are taken only by name.
_AUTOMATIC = ("cuda", "cpu")


def runtime() -> ModuleType:
    """Return the module ``onnxruntime``; the only place that imports it. ProviderError where it is not installed."""
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
        # What is left when one of two packages that share this module has been uninstalled.
        raise ProviderError("ONNX Runtime is broken: pip install --force-reinstall onnxruntime (or onnxruntime-gpu)")
    return module


def installed_packages() -> dict[str, str]:
    """The installed distributions that bring the module ``onnxruntime``, with versions; two are one too many."""
    found = {}
    for distribution in importlib.metadata.packages_distributions().get("onnxruntime", []):
        found[distribution] = importlib.metadata.version(distribution)
    return found


def candidates(name: str) -> Iterator[Provider]:
    """The providers to try for ``name``, best first: one for a name, several for ``auto``.

    Raises ProviderError for an unknown name, and for a named provider that the installed package does not hold.
    """
    if name not in NAMES:
        raise ProviderError(choose_from("provider", name, NAMES))
    available = runtime().get_available_providers()
    wanted = _AUTOMATIC if name == "auto" else (name,)
    for provider in PROVIDERS:
        if provider.name in wanted and provider.ort_name in available:
            yield provider
        elif provider.name == name:
            packages = " and ".join(f"{package} {version}" for package, version in installed_packages().items())
            raise ProviderError(
                f"provider {name!r} is not in the installed {packages or 'onnxruntime'} "
                f"(it has {', '.join(_short_names(available))}). Remedy: {provider.remedy}, or --provider auto"
            )


def _short_names(ort_names: list[str]) -> list[str]:
    return [provider.name for provider in PROVIDERS if provider.ort_name in ort_names]


def prepare(provider: Provider) -> None:
    """Load what the provider needs from the nvidia-* pip packages, where it needs anything."""
    # What goes wrong is raised, with its reason; ONNX Runtime would say it again, on stdout and on stderr.
    runtime().set_default_logger_severity(4)
    if provider.name in ("cuda", "tensorrt") and hasattr(runtime(), "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            runtime().preload_dlls()


def why_not_loaded(provider: Provider) -> str:
    """The reason why a provider of the installed package did not load, as the system's loader tells it."""
    if provider.library is None:
        return "ONNX Runtime did not say why"
    folder = Path(str(runtime().__file__)).parent / "capi"
    pattern = f"{provider.library}.dll" if sys.platform == "win32" else f"lib{provider.library}.*"
    libraries = sorted(folder.glob(pattern))
    if not libraries:
        return f"{folder} holds no {pattern}"
    try:
        _load_with_host(folder, libraries[0])
    except OSError as error:
        return str(error)
    return "its library loads, but it finds no usable device"


def _load_with_host(folder: Path, library: Path) -> None:
    # A provider's library takes symbols from this one, which ONNX Runtime loads before it.
    for shared in folder.glob("*onnxruntime_providers_shared.*"):
        ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(str(library))
