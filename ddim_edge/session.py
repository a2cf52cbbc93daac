"""A session: one ONNX graph with named inputs on one device, strict about all three."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import providers
from .errors import BundleError, DeviceMemoryError, ProviderError

Array = NDArray[Any]

# ONNX Runtime has no error of its own for this: its arena, C++, CUDA and cuDNN each say it in their words.
_OUT_OF_MEMORY = re.compile(r"allocat|bad_alloc|out of memory|ALLOC_FAILED", re.IGNORECASE)

_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class _Use(Enum):
    """What a session is opened for, and so how."""

    LOOKING = "to see what the graph declares: a matter of a second, and of little memory"
    RUNNING = "to run"
    RUNNING_LEAN = "to run in little memory"


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a graph; a dimension is a number where it is fixed and a name where it is free."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of ``shape`` may be fed here."""
        if len(shape) != len(self.shape):
            return False
        return all(isinstance(want, str) or want == have for want, have in zip(self.shape, shape, strict=True))

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


class Turns:
    """Sessions that take turns in memory: the one that runs is there, and the one before it is dropped."""

    def __init__(self) -> None:
        self._holder: Session | None = None

    def take(self, session: "Session") -> None:
        """Drop whichever session is there, unless it is this one."""
        if self._holder is not None and self._holder is not session:
            self._holder.raw = None
        self._holder = session


class Session:
    """One graph on one provider. With ``turns`` it is opened when it runs, and again after another has run.

    Attributes:
        name: the component's name in messages, such as "unet".
        provider: the name of the provider that it really runs on.
        static_shapes: whether the provider compiles the graph anew for every shape.
        inputs, outputs: what the graph declares, by name.
        raw: ONNX Runtime's session; None while it is not open.

    Its threads spin while they wait for the next call, which is soon where a graph is called step after step; one that
    is called once an image is opened without ``spins``, or it would slow the others down.

    Raises ProviderError where the provider does not run, BundleError where the file is no usable graph.
    """

    def __init__(
        self,
        path: Path,
        provider: str = "auto",
        *,
        name: str | None = None,
        turns: Turns | None = None,
        spins: bool = True,
    ) -> None:
        self.name = name or path.parent.name
        opened, raw = _open(path, provider, _Use.RUNNING if turns is None else _Use.LOOKING, spins=spins)
        self.provider, self.static_shapes = opened.name, opened.static_shapes
        self.inputs = {info.name: info for info in self._describe(raw.get_inputs())}
        self.outputs = {info.name: info for info in self._describe(raw.get_outputs())}
        self.raw: Any = raw if turns is None else None
        self._path, self._opened, self._turns, self._spins = path, opened, turns, spins
        self._output_names = list(self.outputs)
        self._fitting: dict[str, tuple[int, ...]] = {}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the graph once. Inputs are cast to the types that the graph declares.

        Raises BundleError for an input that is missing, unknown or of another shape, DeviceMemoryError where the
        device has too little memory, ProviderError where it fails otherwise.
        """
        if feeds.keys() != self.inputs.keys():
            raise BundleError(
                f"{self.name} wants the inputs {', '.join(self.inputs)}, and was given {', '.join(feeds) or 'none'}"
            )
        prepared = {name: self._prepare(self.inputs[name], value) for name, value in feeds.items()}
        raw = self._ready()
        try:
            results = raw.run(self._output_names, prepared)
        except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
            kind = DeviceMemoryError if _OUT_OF_MEMORY.search(str(error)) else ProviderError
            raise kind(f"{self.name} failed on {self.provider}: {_first_line(error)}") from error
        return dict(zip(self._output_names, results, strict=True))

    def _ready(self) -> Any:
        """ONNX Runtime's session, made now where it is not open."""
        if self._turns is not None:
            self._turns.take(self)
            if self.raw is None:
                self.raw = _create(self._path, self._opened, _Use.RUNNING_LEAN, spins=self._spins)
        return self.raw

    def _prepare(self, info: TensorInfo, value: Array) -> Array:
        if self._fitting.get(info.name) != value.shape:  # a run asks for the same shapes again and again
            if not info.fits(value.shape):
                raise BundleError(f"{self.name}'s input {info} does not take the shape {value.shape}")
            self._fitting[info.name] = value.shape
        return np.asarray(value, info.dtype, order="C")

    def _describe(self, arguments: Any) -> Iterator[TensorInfo]:
        for argument in arguments:
            if argument.type not in _DTYPES:
                raise BundleError(f"{self.name}'s {argument.name} has the type {argument.type}, unknown to NumPy")
            free = (dim if isinstance(dim, int) else str(dim or "?") for dim in argument.shape)
            yield TensorInfo(argument.name, np.dtype(_DTYPES[argument.type]), tuple(free))


def _open(path: Path, provider: str, use: _Use, *, spins: bool) -> tuple[providers.Provider, Any]:
    """Open the graph on the first provider that loads; return the provider and ONNX Runtime's session."""
    reasons = []
    for candidate in providers.candidates(provider):
        providers.prepare(candidate)
        try:
            return candidate, _create(path, candidate, use, spins=spins)
        except ProviderError as error:
            reasons.append(str(error))
    raise ProviderError("; ".join(reasons) or providers.NOT_INSTALLED)


def _create(path: Path, provider: providers.Provider, use: _Use, *, spins: bool) -> Any:
    runtime = providers.runtime()
    options = _options(runtime, use, spins=spins)
    try:
        session = runtime.InferenceSession(path, options, providers=[provider.ort_name], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions have no public base but this one
        if provider.name == "cpu":
            raise BundleError(f"{path} cannot be loaded: {_first_line(error)}. Export it again") from None
        raise _not_loaded(provider, _first_line(error)) from None
    if provider.ort_name not in session.get_providers():
        raise _not_loaded(provider, providers.why_not_loaded(provider))
    return session


def _options(runtime: Any, use: _Use, *, spins: bool) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the same again on stderr helps nobody
    if not spins:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if use is _Use.LOOKING:  # weights in a file of their own stay there: neither laid out anew nor packed
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
    if use is _Use.RUNNING_LEAN:
        # From the second call on, one block for all activations would be taken beside what the first call used:
        # 5.9 in the place of 4.8 GB for Stable Diffusion 1's UNet. Small networks are a fifth faster with it.
        options.enable_mem_pattern = False
    return options


def _not_loaded(provider: providers.Provider, reason: str) -> ProviderError:
    remedy = f"Remedy: {provider.remedy}, or --provider auto"
    return ProviderError(f"provider {provider.name!r} did not load: {reason}. {remedy}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
