"""Session: runs one ONNX graph with named inputs on one device, and is strict about all three."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...arrays import Array
from ...errors import BundleError, ProviderError
from ...graphs.same_files import GraphFiles, SameFiles
from ..compiled.messages import missing_message
from ..compiled.store import Found
from ..providers.device import Device
from ..providers.error_text import failed_call
from .device_buffers import DeviceArray, DeviceBuffers
from .fp16_check import PrecisionWarning, fp16_fault_of, fp32_fallback_of, no_fp32_fallback
from .open_graph import OpenGraph
from .opening import Opened, open_compiled, open_graph
from .session_options import Purpose
from .tensors import TensorInfo, describe

Feed = Array | DeviceArray

_FILE_CHECK_S = 0.1
"""The files of a graph that is called at each step are not checked more often while it runs."""


class OneInMemory:
    """Keeps one of several sessions open at a time, for little memory."""

    def __init__(self) -> None:
        self._current: Session | None = None

    def make_room_for(self, session: "Session") -> None:
        """Close the session that is open, unless it is this one."""
        if self._current is not None and self._current is not session:
            self._current.close()
        self._current = session


class Session:
    """One graph on one device. With ``one_in_memory`` it opens when it runs, and closes when another session runs.

    Attributes:
        name: the component's name in messages, such as "unet".
        provider: the name of the provider that it runs on.
        static_shapes: whether every new shape has to be prepared, so that few should come up.
        inputs, outputs: the tensors that the graph declares, by name.
        raw: the graph, opened by a runtime: ONNX Runtime's session, or OpenVINO's; None while it is not open.
        device_buffers: the device's buffers of its inputs and outputs; None where it is given arrays of the host.
        batches: the numbers of rows that it was compiled for, ascending; empty where it takes any.
        is_half: whether an input or output is fp16; then the graph is taken to compute in fp16.
        needs_fp16_check: True until an fp16 image has been completed; False for a graph that does not compute in fp16.

    The inputs and outputs of a graph that is called ``each_step`` are kept in buffers of the device where the provider
    has its own memory; ``bound`` overrides that. Its threads spin for a moment while they wait for work; those of a
    graph called once per image do not. ``lean``: calls take little memory. ``files``: those that it was read from.

    Raises ProviderError where the provider does not run, BundleError where the file is not a usable graph.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device | str = "auto",
        *,
        name: str | None = None,
        one_in_memory: OneInMemory | None = None,
        lean: bool = False,
        each_step: bool = True,
        bound: bool | None = None,
        files: GraphFiles | None = None,
    ) -> None:
        path = Path(path)
        self.name = name or path.parent.name
        self._path, self._one_in_memory, self._lean = path, one_in_memory, lean
        self._each_step, self._bound = each_step, bound
        self._files = files or GraphFiles(SameFiles())
        self._device = Device.parse(device) if isinstance(device, str) else device
        purpose = Purpose.of(each_step, low_memory=lean) if one_in_memory is None else Purpose.INSPECT
        opened = open_graph(path, self._device, purpose)
        self.provider, self.static_shapes = opened.provider.name, opened.provider.static_shapes or opened.captures
        self.inputs = describe(opened.raw.get_inputs(), path, "inputs")
        self.outputs = describe(opened.raw.get_outputs(), path, "outputs")
        self.batches = tuple(sorted({rows for entry in opened.compiled for rows in entry.sample_rows}))
        self.raw: OpenGraph | None = None
        self._run_options: Any = None
        self.device_buffers: DeviceBuffers | None = None
        self._compiled = opened.compiled
        self._files = self._files.joined_by(path for entry in opened.compiled[:1] for path in entry.mapped_files)
        self._opened_compiled: dict[Path, tuple[OpenGraph | None, DeviceBuffers | None]] = {}
        if one_in_memory is None:
            self._set_session(opened)
        self.is_half = any(info.dtype == np.float16 for info in (*self.inputs.values(), *self.outputs.values()))
        self.needs_fp16_check = self.is_half
        self._fp32_fallback: Session | None = None
        self._is_first_call = True
        self._checked_shapes: dict[str, tuple[int, ...]] = {}
        self._casts: dict[str, tuple[Array, Array]] = {}
        self._known: dict[str, Array] = {}

    def run(self, feeds: Mapping[str, Feed], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        """Run the graph once. Inputs are cast to the types that the graph declares.

        ``outputs``: the names of the outputs to return; all by default. A read-only array (``flags.writeable`` is
        False) that was fed before is neither cast nor uploaded again.

        fp16 outputs with NaN or infinity, or at the first call with one value everywhere, are wrong: the graph's fp32
        form is used from then on, with a PrecisionWarning, where the bundle has one.

        Raises BundleError for an input that is missing, unknown, of another shape, or whose values the graph's type
        does not have (such as the timestep 499.9 of a graph that takes whole ones), DeviceMemoryError where the
        device has too little memory, PredictionError for wrong fp16 outputs, ProviderError for other failures.
        """
        return self.run_and_keep(feeds, list(outputs or self.outputs), ())  # type: ignore[return-value]

    def run_and_keep(self, feeds: Mapping[str, Feed], outputs: list[str], kept: Sequence[str]) -> dict[str, Feed]:
        """Like ``run``, but with device buffers the outputs ``kept`` stay on the device, and are not checked."""
        if self._fp32_fallback is not None:
            return self._run_fp32_fallback(feeds, outputs, kept)
        results = self._run(feeds, outputs, kept)
        if self.is_half:
            fault, self._is_first_call = fp16_fault_of(results, first=self._is_first_call), False
            if fault is not None and self._open_fp32_fallback(fault):
                return self._run_fp32_fallback(feeds, outputs, kept)
            self.needs_fp16_check &= self._each_step
        return results

    def run_on_device(self, feeds: Mapping[str, Feed], outputs: Sequence[str]) -> dict[str, Feed]:
        """Like ``run``, but with device buffers the outputs stay there, as DeviceArrays: fp16 is not checked."""
        if self._fp32_fallback is not None:
            return self._fp32_fallback.run_on_device(feeds, outputs)
        return self._run(feeds, list(outputs), outputs)

    def _open_fp32_fallback(self, fault: str) -> bool:
        """Replace the graph by its fp32 form from now on; False where the bundle has none.

        Raises PredictionError where there is none and no image was completed. Later one image alone may be at fault.
        """
        fallback = fp32_fallback_of(self._path)
        if fallback is None and self.needs_fp16_check:
            raise no_fp32_fallback(self.name, fault)
        if fallback is None:
            return False
        message = f"{self.name} returned {fault} in fp16, and runs in fp32 from now on"
        warnings.warn(message, PrecisionWarning, stacklevel=5)
        self.close()
        self._files.use()
        options: Any = {"one_in_memory": self._one_in_memory, "each_step": self._each_step, "bound": self._bound}
        options |= {"files": self._files, "lean": self._lean}
        self._fp32_fallback = Session(fallback, self._device.without_build(), name=self.name, **options)
        self.inputs, self.outputs = self._fp32_fallback.inputs, self._fp32_fallback.outputs
        return True

    def _run_fp32_fallback(self, feeds: Mapping[str, Feed], outputs: list[str], kept: Sequence[str]) -> dict[str, Feed]:
        assert self._fp32_fallback is not None
        known = {name: feed for name, feed in feeds.items() if name in self.inputs}
        return self._fp32_fallback.run_and_keep(known, outputs, kept)

    def check_files(self) -> None:
        """BundleError where a file that it was read from was overwritten: its last outputs can be wrong.

        ``run`` checks it at every call of a graph that is called once per image, and now and then of one that is called
        at each step.
        """
        self._files.check_not_overwritten()

    def close(self) -> None:
        """Free its memory."""
        self.raw = self.device_buffers = None
        self._opened_compiled.clear()

    def _run(self, feeds: Mapping[str, Feed], wanted: list[str], kept: Sequence[str]) -> dict[str, Feed]:
        if feeds.keys() != self.inputs.keys():
            raise BundleError(
                f"{self.name} needs the inputs {', '.join(self.inputs)}, and was given {', '.join(feeds) or 'none'}"
            )
        self._ensure_open()
        prepared = {name: self._prepare(info, feeds[name]) for name, info in self.inputs.items()}
        if self.batches:
            self._switch_to_compiled({name: value.shape for name, value in prepared.items()})
        try:
            if self.device_buffers is not None:
                results = self.device_buffers.run(prepared, wanted, kept)
            else:
                assert self.raw is not None
                arrays = cast(dict[str, Array], prepared)  # without buffers, inputs of the device were downloaded
                outputs = self.raw.run(wanted, arrays, self._run_options)
                results = {name: outputs[at] for at, name in enumerate(wanted)}
        except Exception as error:  # the runtimes' exceptions have no public base but this one
            raise failed_call(error, self.name, self.provider) from error
        self._files.check_not_overwritten(_FILE_CHECK_S if self._each_step else 0.0)
        return results

    def _ensure_open(self) -> None:
        """Open the graph if it is not open."""
        if self._one_in_memory is not None:
            self._one_in_memory.make_room_for(self)
            if self.raw is None:
                self._files.use()
                self._set_session(open_graph(self._path, self._device, Purpose.of(self._each_step, low_memory=True)))

    def _set_session(self, opened: Opened) -> None:
        self.raw, self._run_options = opened.raw, opened.run_options
        bound = self._each_step and opened.provider.memory is not None if self._bound is None else self._bound
        if bound:
            which = int(self._device.which or 0) if self._device.provider == opened.provider.name else 0
            self.device_buffers = DeviceBuffers(
                opened.raw, opened.provider.memory or "cpu", which, captures=opened.captures
            )

    def _switch_to_compiled(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Switch to what was compiled for these shapes. Raises ProviderError where nothing was: it takes minutes."""
        entry = next((entry for entry in self._compiled if entry.fits(shapes)), None)
        if entry is None:
            rows = shapes["sample"][0] if "sample" in shapes else next(iter(shapes.values()))[0]
            told: Any = {"options": self._device.options, "precision": self._device.precision}
            raise ProviderError(missing_message(self._path, self.provider, Found(self._compiled, ()), rows, **told))
        if entry.folder not in self._opened_compiled:
            if self._opened_compiled or entry is not self._compiled[0]:
                self._set_session(open_compiled(entry, self._device, Purpose.of(self._each_step)))
            self._opened_compiled[entry.folder] = self.raw, self.device_buffers
        self.raw, self.device_buffers = self._opened_compiled[entry.folder]

    def _prepare(self, info: TensorInfo, value: Feed) -> Feed:
        if self._known.get(info.name) is value:
            return value
        if self._checked_shapes.get(info.name) != value.shape:  # most calls have the same shapes
            if not info.fits(value.shape):
                raise BundleError(f"{self.name}'s input {info} does not take the shape {value.shape}")
            self._checked_shapes[info.name] = value.shape
        if isinstance(value, DeviceArray) and value.dtype == info.dtype and self.device_buffers is not None:
            return value
        array = self._cast(info, np.asarray(value))
        if array is value:
            self._known[info.name] = array
        return array

    def _cast(self, info: TensorInfo, value: Array) -> Array:
        source, cast_before = self._casts.get(info.name, (None, None))
        if source is value and cast_before is not None and not value.flags.writeable:
            return cast_before
        array = info.cast(value, self.name)
        if not value.flags.writeable:
            array.setflags(write=False)
            self._casts[info.name] = value, array
        return array
