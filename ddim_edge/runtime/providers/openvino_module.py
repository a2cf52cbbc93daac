"""Imports the package ``openvino``, here and nowhere else, without its telemetry, and describes its devices."""

import functools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ...errors import ProviderError, choose_from
from .error_text import first_error_line

MODULE = "openvino"
_CONVERTER = "openvino.tools.ovc"
_FIRST = "CPU"
"""The device where none is named: every machine that OpenVINO runs on has it."""

_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}


def openvino() -> ModuleType:
    """The module ``openvino``. Raises ProviderError where it is not installed, or broken."""
    try:
        with _without_converter():
            import openvino
    except ImportError as error:
        reason = "is not installed: pip install openvino" if error.name == MODULE else f"is broken: {error}. Reinstall"
        raise ProviderError(f"OpenVINO {reason}") from None
    module: ModuleType = openvino
    return module


@contextmanager
def _without_converter() -> Iterator[None]:
    """Let the import of ``openvino`` leave out its model converter, which reports its use to Google Analytics.

    A module that is None in ``sys.modules`` cannot be imported; ``openvino`` goes on without it. Afterwards the
    program around this one can import the converter.
    """
    if MODULE in sys.modules or _CONVERTER in sys.modules:
        yield
        return
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(_CONVERTER, None)


@functools.cache  # it loads the plugins of the devices
def core() -> Any:
    """OpenVINO's ``Core``. Raises ProviderError where the package is not installed, or broken."""
    return openvino().Core()


def version() -> str:
    """The package's name and version, such as "OpenVINO 2026.4.1"."""
    return f"OpenVINO {str(openvino().__version__).split('-')[0]}"


def devices() -> tuple[str, ...]:
    """The devices of this machine by OpenVINO's names: CPU, GPU, or GPU.0 and GPU.1 where there are two, NPU."""
    return tuple(core().available_devices)


def device_named(which: str | None) -> str:
    """The device that ``which`` names; the CPU for None. Raises ProviderError for one that is not there.

    OpenVINO's AUTO, HETERO and MULTI choose a device themselves, and are not among them.
    """
    asked, found = _FIRST if which is None else which, devices()
    wanted = asked.upper()
    for name in (wanted, f"{wanted}.0", wanted.removesuffix(".0")):
        if name in found:
            return name
    raise ProviderError(choose_from(f"device of {version()}", asked, found))


def precisions(device: str) -> tuple[str, ...]:
    """What a device computes in, fast: float32, bfloat16, float16."""
    capabilities = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, capability in _CAPABILITIES.items() if capability in capabilities)


def precision_properties(precision: str) -> dict[str, str]:
    """The properties for a precision: by default OpenVINO computes float32 graphs in 16 bits where that is faster."""
    match precision:
        case "auto":
            return {}
        case "float32":  # ACCURACY also keeps it from rounding activations for quantized weights
            return {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
    return {"INFERENCE_PRECISION_HINT": _TYPES[precision]}


def check_device(device: str, precision: str, properties: Mapping[str, Any]) -> None:
    """Compile a graph of one node, to have the errors of a device, a precision or a property before those of a model.

    Raises ProviderError where the device does not compute in ``precision``, refuses a property, or another one runs.
    """
    can = precisions(device)
    if precision in _CAPABILITIES and precision not in can:
        raise ProviderError(_other_precision(device, precision, can))
    try:
        ov = openvino()
        node = ov.opset13.parameter([1], ov.Type.f32)
        compiled = core().compile_model(ov.Model([ov.opset13.relu(node)], [node]), device, dict(properties))
    except Exception as error:  # OpenVINO raises RuntimeError, TypeError and others
        raise ProviderError(f"{version()} refuses {device}: {first_error_line(error)}") from None
    check_compiled(compiled, device, precision)


def check_compiled(compiled: Any, device: str, precision: str) -> None:
    """Raise ProviderError where a compiled model runs on another device, or in another precision, than was asked."""
    on = [str(name) for name in compiled.get_property("EXECUTION_DEVICES")]
    if not all(name == device or name.split(".")[0] == device for name in on):  # GPU.0 is a GPU
        raise ProviderError(f"{version()} runs on {', '.join(on)} in place of {device}")
    if precision in _TYPES:
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if used != _TYPES[precision]:
            raise ProviderError(_other_precision(device, precision, precisions(device)))


def _other_precision(device: str, precision: str, can: tuple[str, ...]) -> str:
    others = [name for name in can if name != precision]
    remedy = f"--precision {others[0]}" if others else "another device"
    return f"openvino:{device} does not compute in {precision} on this machine: use {remedy}"
