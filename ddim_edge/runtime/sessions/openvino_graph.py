"""A graph that OpenVINO's own runtime has opened: the second kind behind Session, beside ONNX Runtime's session.

OpenVINO compiles for the shapes of each call when they first come up. A small network runs up to twice as fast in a
form for its exact shapes as in one for all shapes, and compiling it takes a moment.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...arrays import Array
from ...errors import ProviderError
from ...graphs.fingerprint import graph_stamps
from ...graphs.inputs import Declared, declared_inputs, declared_outputs
from ..hardware import cpu
from ..hardware.memory import trim_heap
from ..providers import openvino_module
from ..providers.device import Device
from ..providers.error_text import first_error_line

Shapes = tuple[tuple[int, ...], ...]
"""The shapes of the inputs, in the graph's order."""

_TYPES = {
    "f32": "tensor(float)",
    "f16": "tensor(float16)",
    "f64": "tensor(double)",
    "i64": "tensor(int64)",
    "i32": "tensor(int32)",
    "boolean": "tensor(bool)",
}
"""ONNX Runtime's type name for each of OpenVINO's."""
_MOST_FORMS = 8
"""Combinations of input shapes that stay compiled; the least recently used one is freed."""
_LARGE = 500 * 2**20
"""Bytes of weights from which on there is one form, because each has its own copy of them."""
_ANY_SHAPE: Shapes = ()
_TEXT = "encoder_hidden_states"


class OpenVinoTensor(NamedTuple):
    """An input or output, as a session reads it."""

    name: str
    type: str
    shape: tuple[int | str, ...]


class OpenVinoGraph:
    """An ONNX graph on one device of OpenVINO. Fits ``OpenGraph``. May be called from several threads, one at a time.

    Raises ProviderError where the device is not there, does not compute in the precision, or cannot read the graph;
    BundleError where the file is not an ONNX graph.
    """

    def __init__(self, path: Path, device: Device) -> None:
        self.device, self._precision = openvino_module.device_named(device.which), device.precision
        self._properties = properties(self.device, device)
        openvino_module.check_device(self.device, device.precision, self._properties)
        inputs, outputs = declared_inputs(path), declared_outputs(path)
        self._model = _read(path)
        self._inputs = [_tensor(self._model.input(name), name, declared) for name, declared in inputs.items()]
        self._outputs = [_tensor(self._model.output(name), name, declared) for name, declared in outputs.items()]
        self._forms: OrderedDict[Shapes, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._is_large = sum(stamp[0] for stamp in graph_stamps(path).values()) > _LARGE

    def get_inputs(self) -> Sequence[OpenVinoTensor]:
        """The inputs, in the graph's order."""
        return self._inputs

    def get_outputs(self) -> Sequence[OpenVinoTensor]:
        """The outputs, in the graph's order."""
        return self._outputs

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, Array], _run_options: Any = None, /
    ) -> Sequence[Array]:
        """Run the graph once, and return the named outputs, which are the caller's own.

        Writable inputs are read in place; read-only ones, which OpenVINO does not take, are copied.
        """
        with self._lock:
            results = self._form(input_feed).infer(dict(input_feed), share_inputs=True, share_outputs=False)
        return [results[name] for name in output_names]

    def _form(self, feeds: Mapping[str, Array]) -> Any:
        """What runs inputs of these shapes; it is compiled at their first call.

        A large network has one form: for its first shapes, and when others come up, for all.
        """
        key = tuple(feeds[tensor.name].shape for tensor in self._inputs)
        if self._is_large and self._forms and key not in self._forms:
            key = _ANY_SHAPE
        form = self._forms.pop(key, None)
        if form is None:
            while len(self._forms) >= (1 if self._is_large else _MOST_FORMS):
                self._forms.popitem(last=False)
            form = self._compile(key)
        self._forms[key] = form
        return form

    def _compile(self, shapes: Shapes) -> Any:
        model = self._model.clone()
        if shapes:
            named = zip(self._inputs, shapes, strict=True)
            model.reshape({tensor.name: self._fixed(tensor.name, shape) for tensor, shape in named})
        compiled = openvino_module.core().compile_model(model, self.device, self._properties)
        openvino_module.check_compiled(compiled, self.device, self._precision)
        trim_heap()
        return compiled.create_infer_request()

    def _fixed(self, name: str, shape: Sequence[int]) -> list[int]:
        """The shape of an input in a form for exact shapes; -1 is free.

        In 16 bits the length of a text stays free: in a form for its exact length OpenVINO 2026.4 computes the
        attention of small images to it wrongly, with errors of a fifth of the output.
        """
        free = name == _TEXT and self._precision != "float32"
        return [shape[0], -1, *shape[2:]] if free else list(shape)


def properties(name: str, device: Device) -> dict[str, Any]:
    """OpenVINO's properties for calls one after another, each on all processors. The user's own override them."""
    chosen: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", **openvino_module.precision_properties(device.precision)}
    if name == "CPU":
        chosen |= {
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": device.threads or cpu.threads(),
            # Threads that are bound to a processor wait for it, also where another program has it.
            "ENABLE_CPU_PINNING": False,
        }
    return chosen | dict(device.options)


def _read(path: Path) -> Any:
    try:
        return openvino_module.core().read_model(path)
    except Exception as error:  # OpenVINO raises RuntimeError and others
        lines = [line.removeprefix("-- ") for line in str(error).splitlines() if line.startswith("-- ")]
        reason = lines[0] if lines else first_error_line(error)  # such a line names the operators
        raise ProviderError(
            f"{openvino_module.version()} cannot read {path}: {reason}. Remedy: --provider cpu"
        ) from None


def _tensor(port: Any, name: str, declared: Declared) -> OpenVinoTensor:
    kind = port.get_element_type().get_type_name()
    return OpenVinoTensor(name, _TYPES.get(kind, kind), declared.shape)
