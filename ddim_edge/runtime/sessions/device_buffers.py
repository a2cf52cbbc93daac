"""Buffers on the device for a session's inputs and outputs, to avoid copies between host and device.

Each combination of input shapes has one buffer per input, allocated once and written to when its contents change, and
two per output that stays on the device. These two are used alternately: an output may be the next call's input, and a
call must not write to the buffer that it reads. Addresses therefore repeat, and a recorded CUDA graph can be replayed.
"""

import itertools
import weakref
from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...arrays import Array
from ..providers.onnxruntime_module import runtime

_MOST_SHAPES = 8
"""Combinations of input shapes that keep their buffers; the least recently used one is freed."""
_HOST = "cpu"
_GRAPH_ID, _NO_GRAPH = "gpu_graph_id", "-1"


class DeviceArray:
    """An array on the device. NumPy can use it as an array: then it is downloaded.

    Its memory is written to again two calls later; an array that is still in use then is downloaded first.
    """

    def __init__(self, value: Any, dtype: np.dtype[Any]) -> None:
        self.value, self.shape, self.dtype = value, tuple(value.shape()), dtype
        self._host: Array | None = None

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> Array:
        if self._host is None:
            self._host = _downloaded(self.value)
        return np.array(self._host, dtype, copy=copy)

    def move_to_host(self) -> None:
        """Download the array, and free the device's memory for the next output."""
        self._host, self.value = np.asarray(self), None


def _downloaded(value: Any) -> Array:
    array: Array = value.numpy()
    return array.copy() if value.device_name() == _HOST else array  # in the host's memory it would be a view


@dataclass
class _OutputBuffer:
    """Memory for an output, and the array that was last returned in it."""

    value: Any
    dtype: np.dtype[Any]
    handed_out: "weakref.ref[DeviceArray] | None" = None

    def take_back(self) -> None:
        handed_out = self.handed_out() if self.handed_out else None
        if handed_out is not None:
            handed_out.move_to_host()

    def hand_out(self) -> DeviceArray:
        array = DeviceArray(self.value, self.dtype)
        self.handed_out = weakref.ref(array)
        return array


@dataclass
class _BoundCall:
    """ONNX Runtime's binding of inputs and outputs at fixed addresses, with the options of the run."""

    binding: Any
    options: Any
    inputs: Sequence[Any]
    """Referenced, so that no other value gets their addresses."""


@dataclass
class _ShapeBuffers:
    """The buffers and bindings of one combination of input shapes."""

    inputs: dict[str, Any] = field(default_factory=dict)
    uploaded: dict[str, Array] = field(default_factory=dict)
    """The read-only arrays that the input buffers hold."""
    outputs: dict[str, list[_OutputBuffer]] = field(default_factory=dict)
    """Two per output; the one that was written to last comes last."""
    calls: dict[tuple[int, ...], _BoundCall] = field(default_factory=dict)
    graph_ids: list[int] = field(default_factory=list)


class DeviceBuffers:
    """Runs ONNX Runtime's session ``raw`` with buffers on the device. Not thread-safe.

    Attributes:
        uploads: how often each input was copied to the device.

    ``captures``: whether the session was created with CUDA graphs. Then one is recorded for every set of addresses.
    """

    def __init__(self, raw: Any, memory: str, device_index: int = 0, *, captures: bool = False) -> None:
        self._raw, self._memory, self._device_index, self._captures = raw, memory, device_index, captures
        self._by_shapes: OrderedDict[tuple[tuple[int, ...], ...], _ShapeBuffers] = OrderedDict()
        self._graph_ids = itertools.count(1)
        self.uploads: Counter[str] = Counter()

    def run(
        self, feeds: Mapping[str, Array | DeviceArray], names: Sequence[str], keep: Collection[str]
    ) -> dict[str, Array | DeviceArray]:
        """Run, and return the outputs ``names``. Those in ``keep`` are DeviceArrays, except at a shape's first call."""
        buffers = self._buffers_for(feeds)
        if not buffers.outputs.keys() >= set(names):
            return self._run_unbuffered(buffers, feeds, names)
        sources = {name: self._input_buffer(buffers, name, feed) for name, feed in feeds.items()}
        outputs = {name: self._output_buffer(buffers, name, sources.values(), name in keep) for name in names}
        call = self._bound_call(buffers, sources, {name: output.value for name, output in outputs.items()})
        self._raw.run_with_iobinding(call.binding, call.options)
        return {
            name: output.hand_out() if name in keep else _downloaded(output.value) for name, output in outputs.items()
        }

    def _buffers_for(self, feeds: Mapping[str, Array | DeviceArray]) -> _ShapeBuffers:
        key = tuple(feed.shape for feed in feeds.values())
        buffers = self._by_shapes.pop(key, None) or _ShapeBuffers()
        self._by_shapes[key] = buffers
        if len(self._by_shapes) > _MOST_SHAPES:
            self._release(self._by_shapes.popitem(last=False)[1])
        return buffers

    def _release(self, buffers: _ShapeBuffers) -> None:
        if hasattr(self._raw, "release_captured_graph"):
            for graph_id in buffers.graph_ids:
                self._raw.release_captured_graph(graph_id)

    def _run_unbuffered(
        self, buffers: _ShapeBuffers, feeds: Mapping[str, Array | DeviceArray], names: Sequence[str]
    ) -> dict[str, Array | DeviceArray]:
        """Run without buffers, because the shapes of the outputs are known only afterwards; then allocate them."""
        arrays = {name: np.asarray(feed) for name, feed in feeds.items()}
        results = dict(zip(names, self._raw.run(names, arrays, self._run_options(_NO_GRAPH)), strict=True))
        for name, array in results.items():
            memory = (self._new(array.shape, array.dtype) for _ in range(2))
            buffers.outputs[name] = [_OutputBuffer(value, array.dtype) for value in memory]
        return results

    def _input_buffer(self, buffers: _ShapeBuffers, name: str, feed: Array | DeviceArray) -> Any:
        """The memory to read input ``name`` from: a DeviceArray's own, or the buffer after ``feed`` was uploaded."""
        if isinstance(feed, DeviceArray):
            if feed.value is not None:
                return feed.value
            feed = np.asarray(feed)
        if name not in buffers.inputs:
            buffers.inputs[name] = self._new(feed.shape, feed.dtype)
        value = buffers.inputs[name]
        if feed.flags.writeable or buffers.uploaded.get(name) is not feed:
            value.update_inplace(feed)
            self.uploads[name] += 1
            buffers.uploaded.pop(name, None)
            if not feed.flags.writeable:
                buffers.uploaded[name] = feed
        return value

    def _output_buffer(self, buffers: _ShapeBuffers, name: str, sources: Collection[Any], stays: bool) -> _OutputBuffer:
        """Memory for an output: never a buffer that is read; the older of the two for an output that stays."""
        usual = buffers.outputs[name] if stays else buffers.outputs[name][::-1]
        free = [output for output in usual if all(output.value is not source for source in sources)]
        chosen = free[0]
        if stays:
            buffers.outputs[name].remove(chosen)
            buffers.outputs[name].append(chosen)
        chosen.take_back()
        return chosen

    def _bound_call(self, buffers: _ShapeBuffers, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> _BoundCall:
        key = tuple(id(value) for value in (*inputs.values(), *outputs.values()))
        if key not in buffers.calls:
            buffers.calls[key] = self._bind(buffers, inputs, outputs)
        return buffers.calls[key]

    def _bind(self, buffers: _ShapeBuffers, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> _BoundCall:
        binding = self._raw.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        graph_id = next(self._graph_ids)
        buffers.graph_ids.append(graph_id)
        return _BoundCall(binding, self._run_options(str(graph_id)), list(inputs.values()))

    def _run_options(self, graph_id: str) -> Any:
        if not self._captures:
            return None
        options = runtime().RunOptions()
        options.add_run_config_entry(_GRAPH_ID, graph_id)
        return options

    def _new(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        return runtime().OrtValue.ortvalue_from_shape_and_type(shape, dtype.type, self._memory, self._device_index)
