"""What there is to compile of a bundle: its graphs, and the shapes that they will be fed."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.layout import CONFIG, STEP_MODEL, TEXT_ENCODER, component_named, graphs_of
from ..config import read_json
from ..errors import BundleError, ConfigError, choose_from
from ..graphs.external_data import check_onnx_file
from ..graphs.inputs import declared_inputs, is_quantized
from ..runtime.compiled.machine import Machine
from ..runtime.compiled.recipe import PRECISIONS, Recipe, Shapes, component_of, options_set_by_build
from ..runtime.providers.device import Device
from ..runtime.providers.onnxruntime_module import library_fault
from ..runtime.providers.options import compile_time_options
from ..runtime.providers.table import BUILDABLE, provider_named
from ..runtime.sessions.opening import not_loaded

_ROW_PER_IMAGE = ("sample", "step_coefficients", "noise")
"""The inputs of a fused step that have a row an image; the others have a row for each half of its guidance."""
_TOKENS = 77

Axes = tuple[int | str, ...]


@dataclass(frozen=True)
class BuildRequest:
    """What to compile for, where a provider compiles for shapes.

    Attributes:
        batches: how many images step together; None for what is said nowhere.
        height, width: of the images, in pixels; None for the usual ones.
        guided: whether the UNet is also compiled for guided images, of two rows each, where the model has guidance.
        precision: fp32, fp16 or int8; None for what the graph's own types say.
        workspace: the most bytes that TensorRT may try kernels with.
    """

    batches: Sequence[int] | None = None
    height: int | None = None
    width: int | None = None
    guided: bool = True
    precision: str | None = None
    workspace: int | None = None


def plan(bundle: Bundle, device: Device, request: BuildRequest) -> list[Recipe]:
    """All that is to be compiled of a bundle, the UNet first.

    Raises ConfigError for what means nothing to the provider or the model, BundleError for a graph that is broken,
    ProviderError where the provider does not load.
    """
    _check(device.provider, request)
    _check_loads(device)
    sizes = _Sizes(bundle, request)
    machine = Machine.of(device.provider, device.which)
    recipes = [
        Recipe(device.provider, graph.absolute(), shapes, machine, _precision(device.provider, graph, request))
        for graph in _graphs(bundle)
        for shapes in (sizes.of(graph) if provider_named(device.provider).static_shapes else [{}])
    ]
    given = compile_time_options(device.options)
    whole = [dataclasses.replace(recipe, workspace=request.workspace, options=given) for recipe in recipes]
    _check_options(given, whole)
    return whole


def _check_options(given: Mapping[str, str], recipes: Sequence[Recipe]) -> None:
    """ConfigError for an option by its name that is set here: its own would be passed over."""
    taken = {key for recipe in recipes for key in options_set_by_build(recipe, Path())}
    for key in given.keys() & taken:
        raise ConfigError(
            f"--provider-option {key} is set by `ddim-edge build` itself, as by --precision: leave it out"
        )


def _check(provider: str, request: BuildRequest) -> None:
    if provider not in BUILDABLE:
        raise ConfigError(choose_from("provider to build for", provider, BUILDABLE))
    shaped = {"--batch": request.batches, "--height": request.height, "--width": request.width}
    given = {**shaped, "--workspace": request.workspace, "--no-guidance": not request.guided}
    row = provider_named(provider)
    if not row.static_shapes:
        for option in (option for option, value in given.items() if value):
            raise ConfigError(f"{option} means nothing to {provider}, whose graphs take any shape: leave it out")
    if request.precision is not None and not row.has_precisions:
        raise ConfigError(f"--precision is TensorRT's: {provider} computes in the types of the graph. Leave it out")
    if request.precision not in (None, *PRECISIONS):
        raise ConfigError(choose_from("precision", request.precision, PRECISIONS))
    for batch in request.batches or ():
        if batch < 1:
            raise ConfigError(f"--batch must be 1 or more, for instance 1,2,4, not {batch}")
    if request.workspace is not None and request.workspace < 1:
        raise ConfigError("--workspace must be 1 MB or more")


def _check_loads(device: Device) -> None:
    """Raise ProviderError now where the provider cannot run here: not after minutes."""
    (provider,) = device.candidates()
    fault = library_fault(provider.library) if provider.library and not provider.as_plugin else None
    if fault:
        raise not_loaded(provider, fault)


def _graphs(bundle: Bundle) -> Iterator[Path]:
    """Every graph that a pipeline opens, checked; the UNet with its fused step where there is one."""
    for path in graphs_of(bundle.folder):
        step = path.with_name(STEP_MODEL)
        graph = step if step.is_file() else path
        check_onnx_file(graph, bundle.folder)
        yield graph


def _precision(provider: str, graph: Path, request: BuildRequest) -> str | None:
    if not provider_named(provider).has_precisions:
        return None
    if request.precision == "int8" and not is_quantized(graph):
        raise ConfigError(
            f"{component_of(graph)} is not quantized, and int8 takes the scales from a graph's QuantizeLinear nodes, "
            "which `ddim-edge export` does not write: leave --precision int8 out"
        )
    half = any(declared.is_half for declared in declared_inputs(graph).values())
    return request.precision or ("fp16" if half else "fp32")


class _Sizes:
    """The shapes that a bundle's graphs are fed. ConfigError for sizes that its networks cannot make."""

    def __init__(self, bundle: Bundle, request: BuildRequest) -> None:
        self._bundle = bundle
        self._pixels = bundle.image_shape(request.height, request.width)
        self._latents = bundle.sample_shape_for(request.height, request.width)
        self._batches = sorted(set(request.batches or (1,)))
        self._guided = request.guided and (bundle.inputs.text or bundle.null_class is not None)

    def of(self, graph: Path) -> list[Shapes]:
        """The shapes to compile ``graph`` for, each once; those of the inputs that it leaves a choice of."""
        inputs = {name: declared.shape for name, declared in declared_inputs(graph).items()}
        free = {name: shape for name, shape in inputs.items() if any(isinstance(axis, str) for axis in shape)}
        found = [self._shapes(graph, free, images, rows) for images, rows in self._calls(graph)]
        return [shapes for index, shapes in enumerate(found) if shapes not in found[:index]]

    def _calls(self, graph: Path) -> list[tuple[int, int]]:
        """Images and rows of each kind of call: a guided image has two rows, and a batch may be guided in part."""
        if not component_named(graph.parent.name).each_step:
            return [(1, 1)]
        calls = {(batch, batch * rows) for batch in self._batches for rows in ((1, 2) if self._guided else (1,))}
        return sorted(calls if graph.name == STEP_MODEL else {(rows, rows) for _, rows in calls})

    def _shapes(self, graph: Path, free: Mapping[str, Axes], images: int, rows: int) -> Shapes:
        shapes = {}
        for name, axes in free.items():
            batch = images if graph.name == STEP_MODEL and name in _ROW_PER_IMAGE else rows
            rest = (self._length(graph, name, position, axis) for position, axis in enumerate(axes) if position)
            shapes[name] = (batch if isinstance(axes[0], str) else axes[0], *rest)
        return shapes

    def _length(self, graph: Path, name: str, position: int, axis: int | str) -> int:
        """Of an axis after the batch. "height/8", rounded up, and "height*8" follow from another one."""
        if isinstance(axis, int):
            return axis
        base, operator, factor = [*re.split("([*/])", axis), "*", "1"][:3]
        channels, height, width = (
            self._pixels if component_named(graph.parent.name).feeds == "pixels" else self._latents
        )
        by_name = {"height": height, "width": width, "sequence": self._tokens, "length": self._tokens}
        by_place = (channels, height, width) if name in ("sample", "latent_sample") else ()
        known = [length for word, length in by_name.items() if word in base] or list(by_place[position - 1 : position])
        if not known:
            raise BundleError(f"{graph}: nobody knows how long the axis {axis!r} of {name} is to be. Export it again")
        return known[0] * int(factor) if operator == "*" else -(-known[0] // int(factor))

    @functools.cached_property
    def _tokens(self) -> int:
        """Of a prompt that is not longer than the text encoder reads at once."""
        graph = self._bundle.folder / TEXT_ENCODER.graph
        if graph.is_file():
            length = declared_inputs(graph)["input_ids"].shape[-1]
            return length if isinstance(length, int) else _tokens_of(graph.parent)
        return _TOKENS


def _tokens_of(text_encoder: Path) -> int:
    path = text_encoder / CONFIG
    length = read_json(path).get("max_position_embeddings") if path.is_file() else None
    return length if isinstance(length, int) else _TOKENS
