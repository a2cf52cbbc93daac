"""Plans a build: which graphs of a bundle to compile, and for which input shapes."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.layout import (
    CONFIG,
    LORA_COLUMNS,
    SHALLOW_MODEL,
    STEP_MODEL,
    T5_TOKENS,
    TEXT_ENCODER,
    component_named,
    graphs_of,
)
from ..config import read_json
from ..errors import BundleError, ConfigError, choose_from
from ..graphs.external_data import check_onnx_file
from ..graphs.inputs import declared_inputs, is_quantized
from ..runtime.compiled.machine import Machine
from ..runtime.compiled.recipe import Recipe, Shapes, component_of, options_set_by_build, recorded_precision
from ..runtime.providers.device import Device
from ..runtime.providers.onnxruntime_module import library_fault
from ..runtime.providers.options import compile_time_options
from ..runtime.providers.precision import INT8
from ..runtime.providers.table import AUTO, BUILDABLE, NAMES, provider_named
from ..runtime.sessions.opening import not_loaded

_ROW_PER_IMAGE = ("sample", "step_coefficients", "noise")
"""The inputs of a fused step with one row per image; the others have two rows for a guided image."""
_TOKENS = 77

Axes = tuple[int | str, ...]


@dataclass(frozen=True)
class BuildRequest:
    """What to compile for, where a provider compiles for shapes.

    Attributes:
        batches: the numbers of images in a batch; None for 1.
        height, width: of the images, in pixels; None for the model's usual size.
        guided: whether the UNet is also compiled for guided images, of two rows each, where the model has guidance.
        workspace: the most bytes of GPU memory that TensorRT may try kernels with.
    """

    batches: Sequence[int] | None = None
    height: int | None = None
    width: int | None = None
    guided: bool = True
    workspace: int | None = None


def plan(bundle: Bundle, device: Device, request: BuildRequest) -> list[Recipe]:
    """The recipes for all graphs of a bundle, the UNet's first.

    Raises ConfigError for an option that does not apply to the provider or the model, BundleError for a broken graph,
    ProviderError where the provider does not load.
    """
    _check(device.provider, request)
    _check_loads(device)
    sizes = _Sizes(bundle, request)
    machine = Machine.of(device.provider, device.which)
    recipes = [
        Recipe(device.provider, graph.absolute(), shapes, machine, _precision(device, graph))
        for graph in _graphs(bundle)
        for shapes in (sizes.of(graph) if provider_named(device.provider).static_shapes else [{}])
    ]
    given = compile_time_options(device.options)
    whole = [dataclasses.replace(recipe, workspace=request.workspace, options=given) for recipe in recipes]
    _check_options(given, whole)
    return whole


def call_shapes(bundle: Bundle, graph: Path, request: BuildRequest) -> list[Shapes]:
    """The shapes of the inputs of ``graph`` that have a free axis, by call: of one image, then of a guided one.

    Raises ConfigError for a size that the bundle's networks cannot make, BundleError for a broken graph.
    """
    return _Sizes(bundle, request).of(graph)


def _check_options(given: Mapping[str, str], recipes: Sequence[Recipe]) -> None:
    """Raise ConfigError for a provider option that a build sets itself and would override."""
    set_here = {key for recipe in recipes for key in options_set_by_build(recipe, Path())}
    for key in given.keys() & set_here:
        raise ConfigError(
            f"--provider-option {key} is set by `ddim-edge build` itself, as by --precision: leave it out"
        )


def _check(provider: str, request: BuildRequest) -> None:
    if provider not in BUILDABLE:
        if provider in NAMES and provider != AUTO:
            raise ConfigError(f"nothing is built for {provider}, which runs without: valid are {', '.join(BUILDABLE)}")
        raise ConfigError(choose_from("provider to build for", provider, BUILDABLE))
    shaped = {"--batch": request.batches, "--height": request.height, "--width": request.width}
    given = {**shaped, "--workspace": request.workspace, "--no-guidance": not request.guided}
    row = provider_named(provider)
    if not row.static_shapes:
        for option in (option for option, value in given.items() if value):
            raise ConfigError(f"{option} does not apply to {provider}, whose graphs take any shape: leave it out")
    for batch in request.batches or ():
        if batch < 1:
            raise ConfigError(f"--batch must be 1 or more, for instance 1,2,4, not {batch}")
    if request.workspace is not None and request.workspace < 1:
        raise ConfigError("--workspace must be 1 MB or more")


def _check_loads(device: Device) -> None:
    """Raise ProviderError before the build starts where the provider's library cannot be loaded."""
    (provider,) = device.candidates()
    if provider.uses_own_runtime(device.which):
        raise ConfigError(
            f"nothing is built for {provider.name}'s own runtime, which compiles a graph when it first runs. "
            "`ddim-edge run --provider-option CACHE_DIR=FOLDER` keeps what it compiled, as for a GPU or NPU"
        )
    fault = library_fault(provider.library) if provider.library and not provider.as_plugin else None
    if fault:
        raise not_loaded(provider, fault)


def _graphs(bundle: Bundle) -> Iterator[Path]:
    """Every graph that a pipeline opens, checked; of the UNet the fused step and the shallow graph, if it has them."""
    for path in graphs_of(bundle.folder):
        step, shallow = path.with_name(STEP_MODEL), path.with_name(SHALLOW_MODEL)
        for graph in (step if step.is_file() else path, shallow):
            if graph != shallow or shallow.is_file():
                check_onnx_file(graph, bundle.folder)
                yield graph


def _precision(device: Device, graph: Path) -> str | None:
    if device.precision == INT8 and not is_quantized(graph):
        raise ConfigError(
            f"{component_of(graph)} is not quantized, and int8 takes the scales from a graph's QuantizeLinear nodes, "
            "which `ddim-edge export` does not write: leave --precision int8 out"
        )
    return recorded_precision(device.provider, graph, device.precision)


class _Sizes:
    """The input shapes of a bundle's graphs. Raises ConfigError for sizes that its networks cannot make."""

    def __init__(self, bundle: Bundle, request: BuildRequest) -> None:
        self._bundle = bundle
        self._latents = bundle.sample_shape_for(request.height, request.width)
        is_image = bundle.output.is_image
        self._pixels = bundle.image_shape(request.height, request.width) if is_image else self._latents
        self._batches = sorted(set(request.batches or (1,)))
        self._guided = request.guided and (bundle.inputs.text or bundle.null_class is not None)

    def of(self, graph: Path) -> list[Shapes]:
        """The shapes to compile ``graph`` for, each once: of the inputs that have a free axis."""
        inputs = {name: declared.shape for name, declared in declared_inputs(graph).items()}
        free = {name: shape for name, shape in inputs.items() if any(isinstance(axis, str) for axis in shape)}
        found = [self._shapes(graph, free, images, rows) for images, rows in self._calls(graph)]
        return [shapes for index, shapes in enumerate(found) if shapes not in found[:index]]

    def _calls(self, graph: Path) -> list[tuple[int, int]]:
        """Images and rows of each kind of call. A guided image has two rows; a batch may mix both kinds."""
        if not component_named(graph.parent.name).each_step:
            return [(1, 1)]
        calls = {(batch, batch * rows) for batch in self._batches for rows in ((1, 2) if self._guided else (1,))}
        return sorted(calls if graph.name == STEP_MODEL else {(rows, rows) for _, rows in calls})

    def _shapes(self, graph: Path, free: Mapping[str, Axes], images: int, rows: int) -> Shapes:
        shapes = {}
        for name, axes in free.items():
            batch = images if graph.name == STEP_MODEL and name in _ROW_PER_IMAGE else rows
            rest = (self._length(graph, name, position, axis) for position, axis in enumerate(axes) if position)
            first = self._length(graph, name, 0, axes[0]) if axes[0] == LORA_COLUMNS else batch
            shapes[name] = (first if isinstance(axes[0], str) else axes[0], *rest)
        return shapes

    def _length(self, graph: Path, name: str, position: int, axis: int | str) -> int:
        """The length of an axis after the batch axis. "height/8", rounded up, and "height*8" are computed."""
        if isinstance(axis, int):
            return axis
        base, operator, factor = [*re.split("([*/])", axis), "*", "1"][:3]
        shape = self._pixels if component_named(graph.parent.name).feeds == "pixels" else self._latents
        sides = dict(zip(("height", "width"), shape[1:], strict=True)) if len(shape) == 3 else {}
        slots = self._bundle.lora_slots
        ranks = {} if slots is None else {LORA_COLUMNS: slots.columns}
        by_name = {**sides, "sequence": self._tokens, "length": self._tokens, **ranks}
        by_place = shape if name in ("sample", "latent_sample") else ()
        known = [length for word, length in by_name.items() if word in base] or list(by_place[position - 1 : position])
        if not known:
            raise BundleError(f"{graph}: the length of the axis {axis!r} of {name} is unknown. Export it again")
        return known[0] * int(factor) if operator == "*" else -(-known[0] // int(factor))

    @functools.cached_property
    def _tokens(self) -> int:
        """The length of a prompt in tokens, as much as the text encoders read at once."""
        return self._clip_tokens + (T5_TOKENS if self._bundle.inputs.pooled_projections else 0)

    @property
    def _clip_tokens(self) -> int:
        graph = self._bundle.folder / TEXT_ENCODER.graph
        if graph.is_file():
            length = declared_inputs(graph)["input_ids"].shape[-1]
            return length if isinstance(length, int) else _tokens_of(graph.parent)
        return _TOKENS


def _tokens_of(text_encoder: Path) -> int:
    path = text_encoder / CONFIG
    length = read_json(path).get("max_position_embeddings") if path.is_file() else None
    return length if isinstance(length, int) else _TOKENS
